"""The library's clients and the offline model understand each other, tools and background too."""

import pytest

from durable_agents import OpenAIChatCompletionClient, OpenAIResponsesClient, ResponseLost
from durable_agents.messages import Message, ToolResult
from durable_agents.model import ChatRequest, ToolSpec

ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}})


@pytest.mark.parametrize("kind", [OpenAIChatCompletionClient, OpenAIResponsesClient])
async def test_tool_turn_goes_round(model, kind) -> None:
    client = kind("any", base_url=str(model.base_url.join("/v1")))
    asked = Message.of("user", 'add {"a": 1}')
    first = await client.complete(ChatRequest(messages=(asked,), tools=(ADD,)))
    (call,) = first.calls
    assert (first.text, call.name, call.arguments) == ("", "add", '{"a": 1}')
    told = ToolResult(call_id=call.id, name="add", text="2")
    messages = (
        asked,
        Message(role="assistant", calls=first.calls),
        Message(role="tool", result=told),
    )
    last = await client.complete(ChatRequest(messages=messages, tools=(ADD,)))
    assert "add: 2" in last.text
    assert last.calls == ()
    assert last.usage.total_tokens > 0
    await client.close()


async def test_background_request_is_polled_cancelled_and_lost(start_model) -> None:
    slow = await start_model(OFFLINE_MODEL_LATENCY_MS="60000")
    client = OpenAIResponsesClient("any", base_url=str(slow.base_url.join("/v1")), background=True)
    request = ChatRequest(messages=(Message.of("user", "Hello"),))
    response_id = await client.submit(request)
    assert await client.poll(response_id) is None
    assert (await client.cancel(response_id)).uncounted_calls == 1
    with pytest.raises(ResponseLost):
        await client.poll("resp_offline_99")
    await client.close()


async def test_background_request_is_answered(model) -> None:
    client = OpenAIResponsesClient("any", base_url=str(model.base_url.join("/v1")), background=True)
    request = ChatRequest(messages=(Message.of("user", "Hello"),))
    reply = await client.poll(await client.submit(request))
    assert reply is not None
    assert "Hello" in reply.text
    await client.close()
