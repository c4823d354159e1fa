"""The Responses API of the offline model: at once, in the background, and cancelled."""

import json

import openai
import pytest

ADD = {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}


async def respond(server, input="Hello there", **fields):
    return await server.post("/v1/responses", json={"model": "m", "input": input, **fields})


async def test_the_openai_sdk_gets_a_reply_marked_as_canned(model) -> None:
    async with openai.AsyncOpenAI(base_url=str(model.base_url.join("/v1")), api_key="x") as client:
        reply = await client.responses.create(
            model="any",
            instructions="Help.",
            input=[{"role": "user", "content": [{"type": "input_text", "text": "Hello there"}]}],
        )
    assert (reply.model, reply.status) == ("offline-canned (not a real model)", "completed")
    assert "Hello there" in reply.output_text
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens


async def test_both_apis_say_the_same(model, ask) -> None:
    one = (await ask(model, "Say this.")).json()["choices"][0]["message"]["content"]
    (message,) = (await respond(model, "Say this.", instructions="Help.")).json()["output"]
    assert message["content"][0]["text"] == one


async def test_tool_turn_goes_as_in_the_other_api(model) -> None:
    first = (await respond(model, "add", tools=[ADD])).json()
    (call,) = first["output"]
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", "add", "{}")
    items = [
        {"role": "user", "content": "add"},
        {"type": "function_call", **{key: call[key] for key in ("call_id", "name", "arguments")}},
        {"type": "function_call_output", "call_id": call["call_id"], "output": "7"},
    ]
    (message,) = (await respond(model, items, tools=[ADD])).json()["output"]
    assert "add: 7" in message["content"][0]["text"]


async def test_asked_form_is_kept(model) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    text = {"format": {"type": "json_schema", "name": "N", "schema": schema}}
    (message,) = (await respond(model, text=text)).json()["output"]
    assert isinstance(json.loads(message["content"][0]["text"])["n"], int)


async def test_background_response_is_made_after_the_request(start_model) -> None:
    model = await start_model(OFFLINE_MODEL_LATENCY_MS="60000")
    begun = (await respond(model, background=True)).json()
    assert (begun["status"], begun["output"], begun["usage"]) == ("in_progress", [], None)
    polled = await model.get(f"/v1/responses/{begun['id']}")
    assert polled.json() == begun
    cancelled = (await model.post(f"/v1/responses/{begun['id']}/cancel")).json()
    assert cancelled["status"] == "cancelled"
    again = await model.post(f"/v1/responses/{begun['id']}/cancel")
    assert (again.status_code, again.json()) == (200, cancelled)
    assert (await model.get("/offline/counts")).json()["cancelled"] == 1


async def test_finished_response_stays_as_it_is_when_it_is_cancelled(model) -> None:
    begun = (await respond(model, background=True)).json()
    path = f"/openai/v1/responses/{begun['id']}"
    polled = (await model.get(path)).json()
    assert polled["status"] == "completed"
    assert (await model.post(f"{path}/cancel")).json() == polled


async def test_response_that_is_not_kept_is_not_found(model) -> None:
    unkept = (await respond(model, store=False)).json()
    for response_id in (unkept["id"], "resp_unknown"):
        for call in (
            model.get(f"/v1/responses/{response_id}"),
            model.post(f"/v1/responses/{response_id}/cancel"),
        ):
            reply = await call
            assert reply.status_code == 404
            assert reply.json()["error"]["code"] == "response_not_found"


async def test_response_that_is_not_in_the_background_cannot_be_cancelled(model) -> None:
    made = (await respond(model)).json()
    assert (await model.post(f"/v1/responses/{made['id']}/cancel")).status_code == 400


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "image"}]}, "input[0].type"),
        ({"input": [{"type": "function_call_output", "call_id": "a", "output": "7"}]}, "input[0]"),
        ({"stream": True}, "stream"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True, "store": False}, "store"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ],
)
async def test_a_wrong_request_is_refused_in_openais_shape(model, fields, param) -> None:
    refused = await respond(model, **fields)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


async def test_faults_meet_this_api_as_well(start_model) -> None:
    model = await start_model(OFFLINE_MODEL_FAULTS="429:1")
    assert (await respond(model)).status_code == 429
