"""The Responses API: what is sent, what each reply turns into, and requests in the background."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from durable_agents import (
    AgentCallFailed,
    InvalidAgentOutput,
    ModelRateLimited,
    ModelRejected,
    ModelUnavailable,
    TokenUsage,
)
from durable_agents.errors import ResponseLost
from durable_agents.messages import (
    ImagePart,
    Message,
    OutputSchema,
    TextPart,
    ToolCall,
    ToolResult,
)
from durable_agents.model import ChatRequest, ToolSpec
from durable_agents.models import AzureOpenAIResponsesClient, OpenAIResponsesClient
from tests.durable_agents.conftest import ask
from tests.durable_agents.scripted_model import Reply, ScriptedModel, fails, refuses, responds

type Client = OpenAIResponsesClient

USAGE = TokenUsage(
    input_tokens=11, cached_tokens=4, output_tokens=7, reasoning_tokens=5, total_tokens=18
)
HELLO = ChatRequest(messages=(Message.of("user", "Hello?"),))


@pytest.fixture
async def client(model: ScriptedModel) -> AsyncIterator[Client]:
    model.will(responds("An answer."))
    client = OpenAIResponsesClient("small", api_key="key-1", base_url=f"{model.url}/v1", timeout=5)
    yield client
    await client.close()


async def failure(client: Client, **request: Any) -> AgentCallFailed:
    with pytest.raises(AgentCallFailed) as caught:
        await ask(client, **request)
    return caught.value


async def test_request_goes_to_responses_and_nothing_is_kept_at_the_server(
    model: ScriptedModel, client: Client
) -> None:
    await ask(client, "How are you?", options={"reasoning": {"effort": "low"}})
    (request,) = model.requests
    assert (request.method, request.path) == ("POST", "/v1/responses")
    assert request.headers["authorization"] == "Bearer key-1"
    assert request.body == {
        "model": "small",
        "instructions": "You are Ada.",
        "input": [{"role": "user", "content": "How are you?"}],
        "store": False,
        "reasoning": {"effort": "low"},
    }


async def test_answer_keeps_text_model_usage_and_request_id(
    model: ScriptedModel, client: Client
) -> None:
    reply = await ask(client)
    assert (reply.text, reply.model, reply.finish_reason) == (
        "An answer.",
        "scripted-1",
        "completed",
    )
    assert (reply.usage, reply.request_id, reply.calls) == (USAGE, "req-1", ())


async def test_whole_conversation_with_tools_and_images_is_sent(
    model: ScriptedModel, client: Client
) -> None:
    call = ToolCall(id="a", name="add", arguments='{"a": 1}')
    image = ImagePart(url="data:image/png;base64,AA==")
    messages = (
        Message.of("system", "Be brief."),
        Message(role="user", parts=(TextPart(text="This?"), image)),
        Message(role="assistant", parts=(TextPart(text="Hm."),), calls=(call,)),
        Message(role="tool", result=ToolResult(call_id="a", name="add", text="2")),
        Message.of("system", "Go on."),
        Message.of("user", "So?"),
    )
    await client.complete(ChatRequest(messages=messages))
    assert model.requests[0].body["instructions"] == "Be brief."
    assert model.requests[0].body["input"] == [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "This?"},
                {"type": "input_image", "image_url": image.url, "detail": "auto"},
            ],
        },
        {"role": "assistant", "content": "Hm."},
        {"type": "function_call", "call_id": "a", "name": "add", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "a", "output": "2"},
        {"role": "system", "content": "Go on."},
        {"role": "user", "content": "So?"},
    ]


async def test_tools_and_the_asked_form_are_sent_in_the_form_of_this_api(
    model: ScriptedModel, client: Client
) -> None:
    form = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    output = OutputSchema(name="City", json_schema=form, strict=True)
    tools = (ToolSpec("add", "Adds.", {"type": "object"}), ToolSpec("sub", "", form, strict=True))
    await ask(client, tools=tools, output=output, options={"text": {"verbosity": "low"}})
    body = model.requests[0].body
    assert body["tools"] == [
        {
            "type": "function",
            "name": "add",
            "description": "Adds.",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
        {"type": "function", "name": "sub", "parameters": form, "strict": True},
    ]
    assert body["text"] == {
        "verbosity": "low",
        "format": {"type": "json_schema", "name": "City", "schema": form, "strict": True},
    }


async def test_calls_are_read_by_the_same_rules_as_elsewhere(
    model: ScriptedModel, client: Client
) -> None:
    model.will(responds("Let me look.", ("a", "functions.add", '{"a": 1}'), ("a", "b c", "")))
    reply = await ask(client)
    assert reply.text == "Let me look."
    assert reply.calls == (
        ToolCall(id="a", name="add", arguments='{"a": 1}'),
        ToolCall(id="a-2", name="b_c", arguments="{}"),
    )


@pytest.mark.parametrize(
    ("reply", "kind", "cause"),
    [
        (
            responds("Ha", status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            InvalidAgentOutput,
            "cut off at 7 tokens",
        ),
        (
            responds("Ha", status="incomplete", incomplete_details={"reason": "content_filter"}),
            ModelRejected,
            "content filter stopped the answer",
        ),
        (responds(status="cancelled"), ModelRejected, "cancelled at the server"),
        (
            responds(status="failed", error={"code": "server_error", "message": "oh"}),
            ModelUnavailable,
            "HTTP 500 server_error: oh",
        ),
        (
            responds(status="failed", error={"code": "rate_limit_exceeded", "message": "oh"}),
            ModelRateLimited,
            "rate_limit_exceeded",
        ),
        (
            responds(status="failed", error={"code": "invalid_image", "message": "oh"}),
            ModelRejected,
            "invalid_image",
        ),
        (responds(status="failed", error=None), ModelUnavailable, "HTTP 500"),
        (
            responds(
                output=[{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]
            ),
            ModelRejected,
            "refused",
        ),
        (responds(), ModelUnavailable, "the reply is empty"),
    ],
)
async def test_reply_without_an_answer_says_who_must_act_and_what_it_cost(
    model: ScriptedModel, client: Client, reply: Reply, kind: type[AgentCallFailed], cause: str
) -> None:
    model.will(reply)
    found = await failure(client)
    assert type(found) is kind
    assert cause in found.cause
    assert (found.usage, found.model) == (USAGE, "small")


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"{}", b'{"output": 5}', b'{"output": [5]}', b'{"status": "completed"}'],
)
async def test_body_that_is_no_response_is_unavailable(
    model: ScriptedModel, client: Client, body: bytes
) -> None:
    model.will(Reply(200, body))
    found = await failure(client)
    assert type(found) is ModelUnavailable
    assert "cannot be read as a response" in found.cause


@pytest.mark.parametrize(("status", "kind"), [(400, ModelRejected), (503, ModelUnavailable)])
async def test_bad_status_is_sorted_as_elsewhere(
    model: ScriptedModel, client: Client, status: int, kind: type[AgentCallFailed]
) -> None:
    model.will(refuses(status, code="context_length_exceeded", message="too long"))
    found = await failure(client)
    assert (type(found), found.code) == (kind, "context_length_exceeded")
    assert len(model.requests) == 1


async def test_azure_is_asked_at_openai_v1(model: ScriptedModel) -> None:
    model.will(responds("Hi"))
    client = AzureOpenAIResponsesClient(
        endpoint=model.url, deployment_name="my-gpt", api_key="k", background=True
    )
    assert client.background
    assert (await client.complete(HELLO)).text == "Hi"
    assert model.requests[0].path == "/openai/v1/responses"
    await client.close()


async def test_background_request_is_begun_polled_and_answered(
    model: ScriptedModel, client: Client
) -> None:
    model.will(
        responds(status="queued", output=[], usage=None),
        responds(status="in_progress", output=[], usage=None),
        responds("Done.", ("a", "add", "{}")),
    )
    response_id = await client.submit(HELLO)
    assert await client.poll(response_id) is None
    reply = await client.poll(response_id)
    assert reply is not None
    assert (reply.text, reply.usage, reply.calls[0].id) == ("Done.", USAGE, "a")
    sent = [(one.method, one.path) for one in model.requests]
    polled = ("GET", "/v1/responses/resp_1")
    assert sent == [("POST", "/v1/responses"), polled, polled]
    assert (model.requests[0].body["background"], model.requests[0].body["store"]) == (True, True)


async def test_background_request_that_failed_is_told_when_it_is_polled(
    model: ScriptedModel, client: Client
) -> None:
    error = {"code": "server_error", "message": "oh"}
    model.will(responds(status="failed", error=error))
    response_id = await client.submit(HELLO)
    with pytest.raises(ModelUnavailable, match="server_error"):
        await client.poll(response_id)


async def test_response_that_the_server_does_not_know_is_lost(
    model: ScriptedModel, client: Client
) -> None:
    model.will(fails(404))
    for asked in (client.poll, client.cancel):
        with pytest.raises(ResponseLost, match="does not know the response resp_1") as caught:
            await asked("resp_1")
        assert not caught.value.retriable


@pytest.mark.parametrize("response_id", ["", "../models", "a/b", "a?b", "é", "x" * 300])
async def test_id_that_cannot_be_one_is_never_asked_for(
    model: ScriptedModel, client: Client, response_id: str
) -> None:
    with pytest.raises(ResponseLost):
        await client.poll(response_id)
    model.will(responds(id=response_id, status="queued"))
    with pytest.raises(ModelUnavailable, match="'id' is wrong"):
        await client.submit(HELLO)
    assert [one.method for one in model.requests] == ["POST"]


async def test_server_that_fails_while_it_is_polled_has_not_lost_the_response(
    model: ScriptedModel, client: Client
) -> None:
    model.will(fails(500))
    with pytest.raises(ModelUnavailable):
        await client.poll("resp_1")


async def test_cancelled_response_tells_what_it_used(model: ScriptedModel, client: Client) -> None:
    model.will(responds(status="cancelled"), responds(status="cancelled", usage=None))
    assert await client.cancel("resp_1") == USAGE
    assert await client.cancel("resp_1") == TokenUsage(uncounted_calls=1)
    assert [(one.method, one.path) for one in model.requests] == [
        ("POST", "/v1/responses/resp_1/cancel")
    ] * 2


async def test_cancel_that_comes_after_the_end_leaves_the_answer(
    model: ScriptedModel, client: Client
) -> None:
    model.will(fails(409), responds("Done."), responds("Done."))
    assert await client.cancel("resp_1") == USAGE
    reply = await client.poll("resp_1")
    assert reply is not None
    assert reply.text == "Done."
