"""What a server's refusals turn into: who must act, and whether to wait."""

import gzip
from typing import Any

import pytest

from durable_agents import (
    AgentCallFailed,
    InvalidAgentOutput,
    ModelRateLimited,
    ModelRejected,
    ModelUnavailable,
    OpenAIChatCompletionClient,
    TokenUsage,
)
from tests.durable_agents.conftest import ask
from tests.durable_agents.scripted_model import Reply, ScriptedModel, fails, refuses, says

type Client = OpenAIChatCompletionClient


async def failure(client: Client, message: str = "Hello?", **request: Any) -> AgentCallFailed:
    with pytest.raises(AgentCallFailed) as caught:
        await ask(client, message, **request)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        {"code": "insufficient_quota", "type": "insufficient_quota", "message": "You exceeded"},
        {"code": None, "type": "insufficient_quota", "message": "You exceeded"},
        {"code": "InsufficientQuota", "message": "You exceeded"},
        {"code": "billing_hard_limit_reached", "message": "You exceeded"},
    ],
)
async def test_case_29_quota_that_is_used_up_is_not_retried(
    model: ScriptedModel, chat_client: Client, error: dict[str, Any]
) -> None:
    model.will(refuses(429, **error))
    found = await failure(chat_client)
    assert type(found) is ModelRejected
    assert not found.retriable
    assert "the quota is used up" in found.cause
    assert found.code == "insufficient_quota"


async def test_request_too_large_for_the_rate_limit_is_not_retried(
    model: ScriptedModel, chat_client: Client
) -> None:
    message = "Request too large for gpt on tokens per min (TPM): Limit 10000, Requested 17000."
    model.will(refuses(429, code="rate_limit_exceeded", type="tokens", message=message))
    assert type(await failure(chat_client)) is ModelRejected


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1382400", 1382400),
        ("3600", 3600),
        ("soon", None),
        ("-1", None),
        ("1e9", None),
        ("1000000000", None),
        ("inf", None),
        ("nan", None),
        ("1_0", None),
    ],
)
async def test_case_29_wait_of_days_is_kept_and_an_absurd_one_is_ignored(
    model: ScriptedModel, chat_client: Client, header: str, seconds: float | None
) -> None:
    model.will(Reply(429, b"{}", {"retry-after": header}))
    found = await failure(chat_client)
    assert type(found) is ModelRateLimited
    assert found.retry_after == seconds


FILTERED = {
    "violence": {"filtered": True, "severity": "medium"},
    "hate": {"filtered": False, "severity": "safe"},
    "jailbreak": {"filtered": True, "detected": True},
    "so many <words>": {"filtered": True},
}


@pytest.mark.parametrize(
    "error",
    [
        {
            "code": "content_filter",
            "param": "prompt",
            "innererror": {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": FILTERED,
            },
        },
        {"code": "content_filter", "content_filter_results": FILTERED},
        {
            "code": None,
            "type": "invalid_request_error",
            "content_filters": [
                {"blocked": True, "content_filter_results": FILTERED},
                {"blocked": False, "content_filter_results": {"sexual": {"filtered": True}}},
            ],
        },
    ],
)
async def test_case_33_filtered_prompt_names_the_filter_and_what_it_found_and_no_prompt(
    model: ScriptedModel, chat_client: Client, error: dict[str, Any]
) -> None:
    model.will(refuses(400, message="The prompt 'forbidden' was filtered", **error))
    found = await failure(chat_client, "forbidden")
    assert type(found) is ModelRejected
    assert found.code == "content_filter"
    assert "the content filter stopped the request (violence, jailbreak)" in found.cause
    for absent in ("forbidden", "hate", "sexual", "words"):
        assert absent not in str(found)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "context_length_exceeded", "message": "maximum context length is 5000"}),
        (400, {"code": 400, "type": "BadRequestError", "message": "maximum context length is 4"}),
        (400, {"code": 400, "type": "exceed_context_size_error", "message": "too large"}),
        (413, {"message": "the request exceeds the available context size"}),
    ],
)
async def test_case_17_overflow_is_told_by_one_code_whatever_the_server_calls_it(
    model: ScriptedModel, chat_client: Client, status: int, error: dict[str, Any]
) -> None:
    model.will(refuses(status, **error))
    found = await failure(chat_client)
    assert type(found) is ModelRejected
    assert found.code == "context_length_exceeded"
    assert "context_length_exceeded" in found.cause


@pytest.mark.parametrize("message", ["Unsupported parameter: 'temperature' is not", "No.", ""])
async def test_case_35_parameter_that_the_model_does_not_take_is_named(
    model: ScriptedModel, chat_client: Client, message: str
) -> None:
    model.will(refuses(code="unsupported_parameter", param="temperature", message=message))
    found = await failure(chat_client, options={"temperature": 0})
    assert type(found) is ModelRejected
    assert "temperature" in found.cause
    assert (found.code, found.model) == ("unsupported_parameter", "small")


async def test_message_that_quotes_the_prompt_is_left_out(
    model: ScriptedModel, chat_client: Client
) -> None:
    model.will(refuses(code="bad", message="1 error: 'my secret\n prompt' is not allowed"))
    found = await failure(chat_client, "my secret prompt")
    assert found.cause == "HTTP 400 bad"


@pytest.mark.parametrize(
    "body", [b"[]", b"[5]", b'"no"', b'{"error": "no"}', b'{"error": {"code": {}, "message": 5}}']
)
async def test_error_in_no_usual_form_is_told_by_its_status(
    model: ScriptedModel, chat_client: Client, body: bytes
) -> None:
    model.will(Reply(400, body))
    assert "HTTP 400" in (await failure(chat_client)).cause


async def test_error_in_a_list_is_read(model: ScriptedModel, chat_client: Client) -> None:
    model.will(Reply(400, b'[{"error": {"code": 400, "message": "it is so"}}]'))
    assert (await failure(chat_client)).cause == "HTTP 400 400: it is so"


@pytest.mark.parametrize(
    ("code", "kind"), [(429, ModelRateLimited), (400, ModelRejected), ("x", ModelUnavailable)]
)
async def test_error_with_a_good_status_is_an_error(
    model: ScriptedModel, chat_client: Client, code: object, kind: type[AgentCallFailed]
) -> None:
    model.will(refuses(200, code=code, message="the upstream failed"))
    found = await failure(chat_client)
    assert type(found) is kind
    assert "the upstream failed" in found.cause


async def test_failure_names_no_agent_as_long_as_only_the_model_knows(
    model: ScriptedModel, chat_client: Client
) -> None:
    model.will(fails(401))
    found = await failure(chat_client)
    assert str(found) == "model 'small': HTTP 401 some_code: the server says 401 [request req-2]"


@pytest.mark.parametrize(
    "reply",
    [
        says("Half", finish="length", usage={"prompt_tokens": 500, "completion_tokens": 500}),
        says(
            "Half", finish="content_filter", usage={"prompt_tokens": 500, "completion_tokens": 500}
        ),
        says(None, refusal="No.", usage={"prompt_tokens": 500, "completion_tokens": 500}),
        says(" ", usage={"prompt_tokens": 500, "completion_tokens": 500}),
        says("x", finish="error", usage={"prompt_tokens": 500, "completion_tokens": 500}),
    ],
)
async def test_case_37_answer_that_cannot_be_used_has_cost_its_tokens(
    model: ScriptedModel, chat_client: Client, reply: Reply
) -> None:
    model.will(reply)
    found = await failure(chat_client)
    assert found.usage == TokenUsage(input_tokens=500, output_tokens=500, total_tokens=1000)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (
            {
                "prompt_tokens": 1000,
                "prompt_tokens_details": {"cached_tokens": 800},
                "completion_tokens": 100,
                "completion_tokens_details": {"reasoning_tokens": 64},
                "total_tokens": 1100,
            },
            TokenUsage(
                input_tokens=1000,
                cached_tokens=800,
                output_tokens=100,
                reasoning_tokens=64,
                total_tokens=1100,
            ),
        ),
        (
            {
                "prompt_tokens": 1200,
                "prompt_tokens_details": None,
                "completion_tokens": 50,
                "completion_tokens_details": {"reasoning_tokens": None},
                "total_tokens": None,
            },
            TokenUsage(input_tokens=1200, output_tokens=50, total_tokens=1250),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 3},
            TokenUsage(input_tokens=5, output_tokens=2, total_tokens=7),
        ),
        (
            {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}},
            TokenUsage(input_tokens=5, cached_tokens=5, total_tokens=5),
        ),
        (None, TokenUsage(uncounted_calls=1)),
        ({}, TokenUsage(uncounted_calls=1)),
        ({"prompt_tokens": "many", "completion_tokens": -1}, TokenUsage(uncounted_calls=1)),
        ({"prompt_tokens": True, "completion_tokens": 1e300}, TokenUsage(uncounted_calls=1)),
    ],
)
async def test_case_37_tokens_are_counted_once(
    model: ScriptedModel, chat_client: Client, sent: dict[str, Any] | None, read: TokenUsage
) -> None:
    model.will(says("Hi", usage=sent))
    assert (await ask(chat_client)).usage == read


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_endless_reply_is_not_read_to_its_end(
    model: ScriptedModel, chat_client: Client, status: int
) -> None:
    model.will(Reply(status, endless=b" " * 65536))
    found = await failure(chat_client)
    assert type(found) is InvalidAgentOutput
    assert "larger than 4 MB" in found.cause


async def test_reply_that_is_small_only_as_long_as_it_is_packed_is_not_read_to_its_end(
    model: ScriptedModel, chat_client: Client
) -> None:
    packed = gzip.compress(b" " * (10 * 1024 * 1024))
    model.will(Reply(200, packed, {"content-encoding": "gzip"}))
    assert "larger than 4 MB" in (await failure(chat_client)).cause


async def test_packed_reply_is_an_answer(model: ScriptedModel, chat_client: Client) -> None:
    packed = gzip.compress(says("Hi").body)
    model.will(Reply(200, packed, {"content-encoding": "gzip"}))
    assert (await ask(chat_client)).text == "Hi"


async def test_reply_that_drips_ends_with_the_timeout() -> None:
    async with ScriptedModel() as dripping:
        dripping.will(Reply(200, endless=b" ", pause=0.02))
        client = OpenAIChatCompletionClient("small", base_url=f"{dripping.url}/v1", timeout=0.2)
        found = await failure(client)
        assert type(found) is ModelUnavailable
        assert "no answer within 0.2 s" in found.cause
        await client.close()


async def test_content_in_parts_is_one_text(model: ScriptedModel, chat_client: Client) -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}]
    model.will(says(None, content=parts))
    assert (await ask(chat_client)).text == "Hi"
