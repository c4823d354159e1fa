"""The offline model speaks OpenAI's protocol: replies, models, and errors in their shape."""

import openai
import pytest


async def test_the_openai_sdk_gets_a_reply_marked_as_canned(model) -> None:
    async with openai.AsyncOpenAI(base_url=str(model.base_url.join("/v1")), api_key="x") as client:
        reply = await client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "Hello there"}]
        )
    assert reply.model == "offline-canned (not a real model)"
    assert reply.choices[0].finish_reason == "stop"
    assert "Hello there" in reply.choices[0].message.content
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.usage.prompt_tokens > 0


async def test_longer_texts_count_more_tokens(model, ask) -> None:
    short, long = await ask(model, "a"), await ask(model, "a" * 1000)
    tokens = [reply.json()["usage"]["prompt_tokens"] for reply in (short, long)]
    assert tokens[1] - tokens[0] == 250


async def test_models_are_listed(model) -> None:
    listed = (await model.get("/v1/models")).json()
    assert [entry["id"] for entry in listed["data"]] == ["offline-canned"]


@pytest.mark.parametrize("path", ["/openai/v1", "/openai/deployments/mine"])
async def test_azures_paths_are_served_too(model, path) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    assert (await model.post(f"{path}/chat/completions", json=body)).status_code == 200


async def test_a_text_in_parts_is_read(model, ask) -> None:
    parts = [{"type": "text", "text": "in parts"}]
    assert "in parts" in (await ask(model, parts)).text


USER = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [USER]}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": ["Hello"]}, "messages[0]"),
        ({"model": "m", "messages": [USER, {"role": "king", "content": ""}]}, "messages[1].role"),
        ({"model": "m", "messages": [{"role": "user"}]}, "messages[0].content"),
        ({"model": "m", "messages": [USER], "tools": {}}, "tools"),
        ({"model": "m", "messages": [USER], "tools": [{}]}, "tools[0]"),
        ({"model": "m", "messages": [USER], "tool_choice": "required"}, "tool_choice"),
        ({"model": "m", "messages": [USER], "stream": True, "n": 2}, "n"),
        ({"model": "m", "messages": [USER], "n": 2}, "n"),
        (
            {"model": "m", "messages": [USER], "response_format": {"type": "xml"}},
            "response_format.type",
        ),
        ([], None),
    ],
)
async def test_a_wrong_request_is_refused_in_openais_shape(model, body, param) -> None:
    refused = await model.post("/v1/chat/completions", json=body)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["message"]


async def test_a_body_that_is_not_json_is_refused(model) -> None:
    refused = await model.post("/v1/chat/completions", content=b"{")
    assert refused.status_code == 400
    assert "not valid JSON" in refused.json()["error"]["message"]


async def test_an_unknown_path_is_answered_in_openais_shape(model) -> None:
    refused = await model.get("/v1/images")
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "unknown_url"
