"""The offline model calls tools that the user names, once, and shows what came back."""

import json

import openai
import pytest

ADD = {
    "name": "add",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 3}, "note": {"type": "string"}},
        "required": ["a", "note"],
    },
}
NOW = {"name": "now", "parameters": {"type": "object", "properties": {}}}


def offered(*functions):
    return [{"type": "function", "function": function} for function in functions]


def calls_in(reply):
    choice = reply.json()["choices"][0]
    made = choice["message"].get("tool_calls") or []
    assert choice["finish_reason"] == ("tool_calls" if made else "stop")
    return [(one["function"]["name"], json.loads(one["function"]["arguments"])) for one in made]


async def test_tool_that_the_user_names_is_called_with_arguments_of_its_schema(model, ask) -> None:
    reply = await ask(model, "Please add.", tools=offered(ADD, NOW))
    ((name, arguments),) = calls_in(reply)
    assert (name, arguments["a"]) == ("add", 3)
    assert "Offline placeholder" in arguments["note"]
    assert reply.json()["choices"][0]["message"]["content"] is None


@pytest.mark.parametrize("text", ['ADD {"a": 5}', 'add: {"a": 5} now', '`add`({"a": 5})'])
async def test_arguments_that_follow_the_name_are_taken(model, ask, text) -> None:
    name, arguments = calls_in(await ask(model, text, tools=offered(ADD, NOW)))[0]
    assert (name, arguments) == ("add", {"a": 5})


async def test_tools_are_called_in_the_order_of_the_message_with_ids_of_their_own(
    model, ask
) -> None:
    reply = await ask(model, "now, then add", tools=offered(ADD, NOW))
    assert [name for name, _ in calls_in(reply)] == ["now", "add"]
    again = await ask(model, "now, then add", tools=offered(ADD, NOW))
    made = [reply.json()["choices"][0]["message"]["tool_calls"] for reply in (reply, again)]
    assert len({call["id"] for calls in made for call in calls}) == 4


@pytest.mark.parametrize("text", ["What is the address?", "Nowadays", "pre-add", "Hello"])
async def test_tool_that_is_not_named_is_not_called(model, ask, text) -> None:
    assert calls_in(await ask(model, text, tools=offered(ADD, NOW))) == []


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("auto", ["now"]),
        ("none", []),
        ("required", ["add"]),
        ({"type": "function", "function": {"name": "now"}}, ["now"]),
    ],
)
async def test_tool_choice_is_heeded(model, ask, choice, called) -> None:
    reply = await ask(model, "now", tools=offered(ADD, NOW), tool_choice=choice)
    assert [name for name, _ in calls_in(reply)] == called


def turn(*results, call_ids=("a", "b")):
    asked = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for id, name in zip(call_ids, ("add", "now"), strict=True)
    ]
    return [
        {"role": "user", "content": "add and now"},
        {"role": "assistant", "content": None, "tool_calls": asked},
        *[{"role": "tool", "tool_call_id": id, "content": text} for id, text in results],
    ]


async def test_results_are_answered_with_once_and_marked(model) -> None:
    body = {
        "model": "m",
        "messages": turn(("a", "7"), ("b", "noon")),
        "tools": offered(ADD, NOW),
    }
    reply = await model.post("/v1/chat/completions", json=body)
    assert calls_in(reply) == []
    content = reply.json()["choices"][0]["message"]["content"]
    assert content.startswith("[Offline placeholder")
    assert "add: 7; now: noon" in content


async def test_next_message_may_have_the_tool_called_again(model) -> None:
    messages = [
        *turn(("a", "7"), ("b", "noon")),
        {"role": "assistant", "content": "7"},
        {"role": "user", "content": "add once more"},
    ]
    body = {"model": "m", "messages": messages, "tools": offered(ADD)}
    reply = await model.post("/v1/chat/completions", json=body)
    assert [name for name, _ in calls_in(reply)] == ["add"]


@pytest.mark.parametrize(
    "messages",
    [
        turn(("a", "7")),
        turn(("a", "7"), ("x", "8")),
        [*turn(("a", "7")), {"role": "user", "content": "So?"}],
        turn(("a", "7"), call_ids=("a", "a")),
        turn(("a", "7"), ("", "8"), call_ids=("a", "")),
        [{"role": "tool", "tool_call_id": "a", "content": "7"}],
    ],
)
async def test_conversation_that_real_servers_refuse_is_refused(model, messages) -> None:
    refused = await model.post("/v1/chat/completions", json={"model": "m", "messages": messages})
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "invalid_request_error"


async def test_parameters_that_nothing_can_be_made_for_are_refused(model, ask) -> None:
    never = {"name": "add", "parameters": {"properties": {"a": False}, "required": ["a"]}}
    refused = await ask(model, "add", tools=offered(never))
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tools")


async def test_asked_form_comes_after_the_tools(model, ask) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "N", "schema": schema}}
    fields = {"response_format": form, "tools": offered(NOW)}
    assert calls_in(await ask(model, "now", **fields)) == [("now", {})]
    text = (await ask(model, "later", **fields)).json()["choices"][0]["message"]["content"]
    assert isinstance(json.loads(text)["n"], int)


@pytest.mark.parametrize("text", ["Hello there", 'add {"a": 5, "note": "x y"} and now'])
async def test_stream_says_the_same_as_the_whole_reply(model, ask, text) -> None:
    whole = (await ask(model, text, tools=offered(ADD, NOW))).json()
    async with openai.AsyncOpenAI(base_url=str(model.base_url.join("/v1")), api_key="x") as client:
        messages = [
            {"role": "system", "content": "Help."},
            {"role": "user", "content": text},
        ]
        stream = await client.chat.completions.create(
            model="any",
            messages=messages,
            tools=offered(ADD, NOW),
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    said = whole["choices"][0]["message"]
    assert "".join(delta.content or "" for delta in deltas) == (said["content"] or "")
    assert arguments_of(deltas) == [
        call["function"]["arguments"] for call in said.get("tool_calls", [])
    ]
    assert chunks[-1].usage.model_dump(exclude_none=True) == whole["usage"]
    finished = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1]
    assert finished == whole["choices"][0]["finish_reason"]
    assert len(chunks) > 4


def arguments_of(deltas):
    found: dict[int, str] = {}
    for delta in deltas:
        for call in delta.tool_calls or ():
            found[call.index] = found.get(call.index, "") + call.function.arguments
    return list(found.values())
