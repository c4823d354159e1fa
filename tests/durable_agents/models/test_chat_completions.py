"""The model client against a real HTTP server: what is sent, and what each reply turns into."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from durable_agents import (
    AgentCallFailed,
    InvalidAgentOutput,
    ModelRateLimited,
    ModelRejected,
    ModelUnavailable,
    OpenAIChatClient,
    TokenUsage,
)
from durable_agents.messages import OutputSchema
from tests.durable_agents.conftest import ask
from tests.durable_agents.scripted_model import DROP, Reply, ScriptedModel, fails, says

REPLY = b'{"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}'


async def test_request_goes_to_chat_completions_with_key_instructions_and_message(
    model: ScriptedModel, chat_client: OpenAIChatClient
) -> None:
    await ask(chat_client, "How are you?", options={"temperature": 0.5})
    (request,) = model.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == "Bearer key-1"
    assert request.body == {
        "model": "small",
        "temperature": 0.5,
        "messages": [
            {"role": "system", "content": "You are Ada."},
            {"role": "user", "content": "How are you?"},
        ],
    }


async def test_answer_keeps_text_model_usage_and_request_id(
    model: ScriptedModel, chat_client: OpenAIChatClient
) -> None:
    model.will(says("Très bien."))
    answer = await ask(chat_client)
    assert answer.text == "Très bien."
    assert answer.model == "scripted-1"
    assert answer.usage == TokenUsage(input_tokens=11, output_tokens=7, total_tokens=18)
    assert (answer.finish_reason, answer.request_id) == ("stop", "req-1")


async def test_asked_form_is_sent_as_json_schema(
    model: ScriptedModel, chat_client: OpenAIChatClient
) -> None:
    form = {"type": "object", "properties": {}, "additionalProperties": False, "required": []}
    given = {name: part for name, part in form.items() if name != "properties"}
    schema = OutputSchema(name="City", json_schema=given, strict=True)
    await ask(chat_client, output=schema)
    assert model.requests[0].body["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "City",
            "schema": form,
            "strict": True,
        },
    }


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 307])
async def test_refused_request_is_rejected_and_not_to_be_retried(
    model: ScriptedModel, chat_client: OpenAIChatClient, status: int
) -> None:
    model.will(fails(status, "some_code", location="/elsewhere"))
    with pytest.raises(ModelRejected) as caught:
        await ask(chat_client)
    assert not caught.value.retriable
    assert caught.value.request_id == "req-2"
    for part in ("small", f"HTTP {status}", "some_code", f"the server says {status}"):
        assert part in str(caught.value)
    assert len(model.requests) == 1


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504])
async def test_failing_server_is_unavailable_after_one_request(
    model: ScriptedModel, chat_client: OpenAIChatClient, status: int
) -> None:
    model.will(fails(status))
    with pytest.raises(ModelUnavailable, match=f"HTTP {status}") as caught:
        await ask(chat_client)
    assert caught.value.retriable
    assert len(model.requests) == 1


DATE = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "60", "retry_after_ms": "250"}, 0.25),
        (
            {
                "date": format_datetime(DATE, usegmt=True),
                "retry_after": format_datetime(DATE + timedelta(seconds=90), usegmt=True),
            },
            90,
        ),
        ({"retry_after": "Thu, 01 Jan 1998 00:00:00 GMT"}, 0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "Thu, 01 Jan 99999999999 00:00:00 GMT"}, None),
        ({}, None),
    ],
)
async def test_rate_limit_says_how_long_the_server_wants_to_be_left_alone(
    model: ScriptedModel,
    chat_client: OpenAIChatClient,
    headers: dict[str, str],
    seconds: float | None,
) -> None:
    model.will(fails(429, **headers))
    with pytest.raises(ModelRateLimited) as caught:
        await ask(chat_client)
    assert caught.value.retriable
    assert caught.value.retry_after == seconds


async def test_date_without_the_servers_clock_is_measured_by_ours(
    model: ScriptedModel, chat_client: OpenAIChatClient
) -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251
    model.will(fails(429, retry_after=format_datetime(moment, usegmt=True)))
    with pytest.raises(ModelRateLimited) as caught:
        await ask(chat_client)
    assert caught.value.retry_after == pytest.approx(3600, abs=60)


async def test_connection_dropped_in_mid_reply_is_unavailable(
    model: ScriptedModel, chat_client: OpenAIChatClient
) -> None:
    model.will(DROP)
    with pytest.raises(
        ModelUnavailable, match=f"the connection to {model.url}/v1 failed"
    ) as caught:
        await ask(chat_client)
    assert caught.value.retriable
    assert len(model.requests) == 1


async def test_server_that_is_not_there_is_unavailable() -> None:
    client = OpenAIChatClient("small", base_url="http://me:secret@127.0.0.1:9/v1")
    with pytest.raises(ModelUnavailable, match=r"connection to http://127\.0\.0\.1:9/v1 failed"):
        await ask(client)
    await client.close()


async def test_server_that_stays_silent_is_unavailable_after_the_timeout() -> None:
    async with ScriptedModel() as silent:
        silent.will(Reply(silent=True))
        client = OpenAIChatClient("small", base_url=f"{silent.url}/v1", timeout=0.1)
        with pytest.raises(ModelUnavailable, match=r"no answer within 0\.1 s"):
            await ask(client)
        await client.close()


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": [{"mess',
        b"<html>Bad gateway</html>",
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b'{"choices": [{"message": {"content": null}, "finish_reason": "tool_calls"}]}',
        b'{"choices": [{"message": {"content": " \\n"}, "finish_reason": "stop"}]}',
    ],
)
async def test_reply_without_an_answer_is_an_error_and_never_an_empty_text(
    model: ScriptedModel, chat_client: OpenAIChatClient, body: bytes
) -> None:
    model.will(Reply(200, body))
    with pytest.raises(ModelUnavailable, match="the reply") as caught:
        await ask(chat_client)
    assert caught.value.retriable


async def test_content_filter_stop_is_rejected(
    model: ScriptedModel, chat_client: OpenAIChatClient
) -> None:
    model.will(says("Half an ans", finish="content_filter"))
    with pytest.raises(ModelRejected, match="content filter"):
        await ask(chat_client)


async def test_refusal_is_rejected(model: ScriptedModel, chat_client: OpenAIChatClient) -> None:
    model.will(says(None, refusal="I'm sorry."))
    with pytest.raises(ModelRejected, match="refused"):
        await ask(chat_client)


async def test_truncated_reply_is_invalid_output(
    model: ScriptedModel, chat_client: OpenAIChatClient
) -> None:
    model.will(says("Half an ans", finish="length"))
    with pytest.raises(InvalidAgentOutput, match="cut off at 7 tokens") as caught:
        await ask(chat_client)
    assert not caught.value.retriable


async def test_reply_of_a_plain_server_without_usage_is_an_answer(
    model: ScriptedModel, chat_client: OpenAIChatClient
) -> None:
    model.will(Reply(200, REPLY, {"content-type": "text/plain"}))
    answer = await ask(chat_client)
    assert (answer.text, answer.model, answer.usage) == (
        "Hi",
        "small",
        TokenUsage(uncounted_calls=1),
    )


async def test_error_of_a_proxy_without_json_names_the_status(
    model: ScriptedModel, chat_client: OpenAIChatClient
) -> None:
    model.will(Reply(502, b"<html>secret details</html>", {"content-type": "text/html"}))
    with pytest.raises(ModelUnavailable, match="HTTP 502") as caught:
        await ask(chat_client)
    assert "secret" not in str(caught.value)


async def test_neither_prompt_nor_reply_is_logged(
    model: ScriptedModel, chat_client: OpenAIChatClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    model.will(says("the secret reply"), says("the secret reply", finish="content_filter"))
    await ask(chat_client, "the secret prompt")
    with pytest.raises(AgentCallFailed):
        await ask(chat_client, "the secret prompt")
    assert "secret" not in caplog.text
