"""Reads what a model's server sent: an answer, or the truth about why there is none. Pure.

The body is checked here and not by the SDK, which takes any JSON for an answer.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypedDict, cast

import openai
from pydantic import BaseModel, ValidationError

from durable_agents.errors import (
    AgentCallFailed,
    InvalidAgentOutput,
    ModelRateLimited,
    ModelRejected,
    ModelUnavailable,
)
from durable_agents.messages import AgentResponse, TokenUsage

# The server was not able to answer this time; any other 4xx is an answer, and stays the same.
_RETRIABLE = {408, 409, 429}
_LONGEST_QUOTE = 300


class HttpReply(Protocol):
    """The part of an HTTP response that is looked at."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names in any case."""
        ...

    @property
    def content(self) -> bytes:
        """The whole body."""
        ...


class _About(TypedDict):
    agent: str
    model: str
    request_id: str


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class _Completion(BaseModel):
    choices: list[_Choice]
    model: str | None = None
    usage: _Usage | None = None


def read_answer(reply: HttpReply, agent: str, model: str) -> AgentResponse:
    """Return the answer in a reply with a good status.

    Raises:
        AgentCallFailed: There is none. An answer is never an empty text.
    """
    about = _About(agent=agent, model=model, request_id=_request_id(reply))
    completion = _completion(reply.content, about)
    if not completion.choices:
        raise ModelUnavailable("the reply has no choices", **about)
    choice = completion.choices[0]
    if choice.message.refusal:
        raise ModelRejected("the model refused to answer", **about)
    if choice.finish_reason == "content_filter":
        raise ModelRejected("the content filter stopped the answer", **about)
    usage = completion.usage or _Usage()
    if choice.finish_reason == "length":
        raise InvalidAgentOutput(
            f"the answer was cut off at {usage.completion_tokens} tokens; allow more of them, or "
            "ask for less",
            **about,
        )
    text = choice.message.content or ""
    if not text.strip():
        raise ModelUnavailable(
            f"the reply is empty (finish reason {choice.finish_reason})", **about
        )
    return AgentResponse(
        text=text,
        agent=agent,
        model=completion.model or model,
        finish_reason=choice.finish_reason or "",
        request_id=about["request_id"],
        usage=TokenUsage(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens or usage.prompt_tokens + usage.completion_tokens,
        ),
    )


def failed_request(error: openai.APIStatusError, agent: str, model: str) -> AgentCallFailed:
    """Return the error that a reply with a bad status stands for."""
    status, headers = error.status_code, error.response.headers
    cause = f"HTTP {status} {_quoted(error)}".strip()
    request_id = _request_id(error.response)
    retry_after = retry_after_seconds(headers)
    if status == 429:
        return ModelRateLimited(
            cause, agent=agent, model=model, request_id=request_id, retry_after=retry_after
        )
    if status in _RETRIABLE or status >= 500:
        return ModelUnavailable(
            cause, agent=agent, model=model, request_id=request_id, retry_after=retry_after
        )
    return ModelRejected(cause, agent=agent, model=model, request_id=request_id)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return how long the server wants to be left alone, if it says so in a way that counts."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if (seconds := _number(value)) is not None:
        return seconds
    moment, sent = _moment(value), _moment(headers.get("date"))
    if moment is None:
        return None
    # By the server's own clock where it can be known: ours may be off.
    now = sent or datetime.now(UTC)  # noqa: TID251 - outside any orchestration, and never stored
    return max(0.0, (moment - now).total_seconds())


def _completion(body: bytes, about: _About) -> _Completion:
    try:
        return _Completion.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        what = f"'{place}' is wrong" if place else "it is not valid JSON"
        raise ModelUnavailable(
            f"the reply cannot be read as a chat completion: {what}", **about
        ) from None


def _quoted(error: openai.APIStatusError) -> str:
    """Return what the server said of the failure, if it said it in the usual form."""
    body: object = error.body
    if not isinstance(body, dict):
        return error.response.reason_phrase
    said = cast("dict[str, Any]", body)
    code, message = said.get("code") or said.get("type"), said.get("message")
    parts = [str(part) for part in (code, message) if isinstance(part, str | int)]
    return ": ".join(parts)[:_LONGEST_QUOTE] or error.response.reason_phrase


def _request_id(reply: HttpReply) -> str:
    return reply.headers.get("x-request-id") or reply.headers.get("apim-request-id") or ""


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _moment(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
