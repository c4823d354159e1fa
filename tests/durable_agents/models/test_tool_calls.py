"""The tools that a model asks for: what is sent of a tool turn, and how calls are read."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from durable_agents import ModelUnavailable, OpenAIChatCompletionClient
from durable_agents.messages import ImagePart, Message, ModelReply, TextPart, ToolCall, ToolResult
from durable_agents.model import ChatRequest, ToolSpec
from tests.durable_agents.conftest import ask
from tests.durable_agents.scripted_model import ScriptedModel, calls, says

ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}})
STRICT = ToolSpec("sub", "", {"type": "object"}, strict=True)

type Client = OpenAIChatCompletionClient


async def read(model: ScriptedModel, client: Client, *raw: tuple[Any, Any, Any]) -> ModelReply:
    model.will(calls(*raw))
    return await ask(client)


async def test_tools_go_out_in_the_function_form_and_strict_only_where_asked(
    model: ScriptedModel, chat_client: Client
) -> None:
    strict = ToolSpec(
        "sub", "", {"type": "object", "additionalProperties": False, "required": []}, strict=True
    )
    await ask(chat_client, tools=(ADD, strict))
    assert model.requests[0].body["tools"] == [
        {
            "type": "function",
            "function": {"name": "add", "description": "Adds.", "parameters": dict(ADD.parameters)},
        },
        {
            "type": "function",
            "function": {
                "name": "sub",
                "parameters": {**strict.parameters, "properties": {}},
                "strict": True,
            },
        },
    ]


async def test_case_35_nothing_is_sent_that_nobody_asked_for(
    model: ScriptedModel, chat_client: Client
) -> None:
    await ask(chat_client, tools=(ADD,))
    assert set(model.requests[0].body) == {"model", "messages", "tools"}


async def test_options_about_tools_go_only_where_there_are_tools(
    model: ScriptedModel, chat_client: Client
) -> None:
    options = {"tool_choice": "required", "parallel_tool_calls": False, "seed": 7}
    await ask(chat_client, options=options)
    await ask(chat_client, options=options, tools=(ADD,))
    assert set(model.requests[0].body) == {"model", "messages", "seed"}
    assert model.requests[1].body["tool_choice"] == "required"


async def test_tool_turn_is_sent_as_the_conversation_went(
    model: ScriptedModel, chat_client: Client
) -> None:
    call = ToolCall(id="a", name="add", arguments='{"a": 1}')
    told = ToolResult(call_id="a", name="add", text="2")
    messages = (
        Message.of("user", "One and one?"),
        Message(role="assistant", calls=(call,)),
        Message(role="tool", result=told),
        Message(role="assistant", parts=(TextPart(text="Hm."),), calls=(call,)),
        Message(role="tool", result=told),
        Message(role="assistant"),  # said nothing: servers refuse it
        Message.of("user", "So?"),
    )
    await chat_client.complete(ChatRequest(messages=messages))
    written = {
        "id": "a",
        "type": "function",
        "function": {"name": "add", "arguments": '{"a": 1}'},
    }
    result = {"role": "tool", "tool_call_id": "a", "content": "2"}
    assert model.requests[0].body["messages"] == [
        {"role": "user", "content": "One and one?"},
        {"role": "assistant", "content": None, "tool_calls": [written]},
        result,
        {"role": "assistant", "content": "Hm.", "tool_calls": [written]},
        result,
        {"role": "user", "content": "So?"},
    ]


async def test_images_are_parts_and_texts_alone_are_a_text(
    model: ScriptedModel, chat_client: Client
) -> None:
    image = ImagePart(url="https://a.example/1.png", detail="low")
    parts = (TextPart(text="What is"), TextPart(text="this?"))
    messages = (Message(role="user", parts=parts), Message(role="user", parts=(parts[1], image)))
    await chat_client.complete(ChatRequest(messages=messages))
    assert [message["content"] for message in model.requests[0].body["messages"]] == [
        "What is\nthis?",
        [
            {"type": "text", "text": "this?"},
            {"type": "image_url", "image_url": {"url": image.url, "detail": "low"}},
        ],
    ]


async def test_half_a_surrogate_pair_neither_comes_in_nor_goes_out(
    model: ScriptedModel, chat_client: Client
) -> None:
    model.will(calls(("a\ud83d", "add", '{"a": "\ud83d"}'), text="\ud83d \ud83d\ude00"))
    tool = ToolSpec("add", "half \ud83d", {"type": "object", "properties": {}})
    reply = await ask(chat_client, tools=(tool,))
    assert reply.text == "� \U0001f600"
    assert reply.calls[0] == ToolCall(id="a�", name="add", arguments='{"a": "�"}')
    assert model.requests[0].body["tools"][0]["function"]["description"] == "half �"


@pytest.mark.parametrize("finish", ["tool_calls", "stop", "function_call"])
async def test_case_13_calls_count_whatever_the_reason_and_the_text(
    model: ScriptedModel, chat_client: Client, finish: str
) -> None:
    model.will(
        calls(("a", "stock", '{"item": "bolt"}'), text="Let me look.", finish=finish),
        calls(("b", "stock", "{}"), finish=finish),
    )
    first, second = await ask(chat_client), await ask(chat_client)
    assert (first.text, [call.id for call in first.calls]) == ("Let me look.", ["a"])
    assert (second.text, [call.id for call in second.calls]) == ("", ["b"])


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (None, "{}"),
        ("", "{}"),
        ("  ", "{}"),
        ("null", "{}"),
        ({"a": "ä"}, '{"a": "ä"}'),
        ([5], "[5]"),
        (5, "5"),
        ('{"a": 5', '{"a": 5'),
        ('{"a": "b\nc"}', '{"a": "b\nc"}'),
    ],
)
async def test_case_01_arguments_are_a_text_and_kept_where_they_are_wrong(
    model: ScriptedModel, chat_client: Client, sent: object, text: str
) -> None:
    reply = await read(model, chat_client, ("a", "add", sent))
    assert reply.calls[0].arguments == text


WRAPPED = {
    "tool_uses": [
        {"recipient_name": "functions.add", "parameters": {"a": 1, "b": 2}},
        {"recipient_name": "functions.add", "parameters": {"a": 3, "b": 4}},
    ]
}


@pytest.mark.parametrize("arguments", [json.dumps(WRAPPED), WRAPPED])
@pytest.mark.parametrize("id", ["m1", "", None])
async def test_case_03_parallel_wrapper_becomes_the_calls_in_it(
    model: ScriptedModel, chat_client: Client, arguments: object, id: str | None
) -> None:
    reply = await read(model, chat_client, (id, "multi_tool_use.parallel", arguments))
    assert [call.name for call in reply.calls] == ["add", "add"]
    assert [json.loads(call.arguments)["a"] for call in reply.calls] == [1, 3]
    assert len({call.id for call in reply.calls} - {""}) == 2


@pytest.mark.parametrize(
    "arguments",
    ["{", "", "[]", '{"tool_uses": []}', '{"tool_uses": [{"recipient_name": "add"}, 5]}', None],
)
async def test_case_03_wrapper_that_cannot_be_read_is_kept_as_a_call(
    model: ScriptedModel, chat_client: Client, arguments: str | None
) -> None:
    reply = await read(model, chat_client, ("m1", "multi_tool_use.parallel", arguments))
    assert [call.name for call in reply.calls] == ["multi_tool_use_parallel"]


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("lookup weather", "lookup_weather"),
        ("functions.add", "add"),
        (" add ", "add"),
        ("a.b/c λ", "a_b_c__"),
        ("add<|channel|>commentary", "add"),
        ("x" * 80, "x" * 64),
        ("", "unnamed"),
        (None, "unnamed"),
        ({"a": 1}, "unnamed"),
        ("functions.", "unnamed"),
    ],
)
async def test_case_03_names_have_only_characters_that_servers_take_back(
    model: ScriptedModel, chat_client: Client, name: object, cleaned: str
) -> None:
    reply = await read(model, chat_client, ("a", name, "{}"))
    assert reply.calls[0].name == cleaned


@pytest.mark.parametrize(
    ("sent", "ids"),
    [
        (["search", "search"], ["search", "search-2"]),
        (["", None], ["call-1", "call-2"]),
        (["call-2", ""], ["call-2", "call-2-2"]),
        (["a", "a-2", "a"], ["a", "a-2", "a-3"]),
        ([7, True], ["7", "call-2"]),
        (["y" * 60, "y" * 60], ["y" * 40, "y" * 38 + "-2"]),
    ],
)
async def test_case_05_ids_of_a_reply_differ_and_are_the_same_each_time(
    model: ScriptedModel, chat_client: Client, sent: list[Any], ids: list[str]
) -> None:
    raw = [(id, "search", "{}") for id in sent]
    for _ in range(2):
        reply = await read(model, chat_client, *raw)
        assert [call.id for call in reply.calls] == ids


@pytest.mark.parametrize(
    "message",
    [
        {"function_call": {"name": "add", "arguments": "{}"}},
        {"tool_calls": [{"function": {"name": "add"}}]},
        {"tool_calls": [{"id": "call-1", "index": 0, "function": {"name": "add"}}]},
    ],
)
async def test_call_of_an_older_or_smaller_server_is_read(
    model: ScriptedModel, chat_client: Client, message: Mapping[str, Any]
) -> None:
    model.will(says(None, **message))
    assert (await ask(chat_client)).calls == (ToolCall(id="call-1", name="add"),)


@pytest.mark.parametrize("wrong", [[5], "add", {"a": 1}])
async def test_calls_that_are_none_make_the_reply_unreadable(
    model: ScriptedModel, chat_client: Client, wrong: object
) -> None:
    model.will(says("Hi", tool_calls=wrong))
    with pytest.raises(ModelUnavailable, match="tool_calls"):
        await ask(chat_client)


async def test_no_calls_are_no_calls(model: ScriptedModel, chat_client: Client) -> None:
    model.will(says("Hi", tool_calls=[]), says("Hi", tool_calls=None, function_call=None))
    assert [(await ask(chat_client)).calls for _ in range(2)] == [(), ()]
