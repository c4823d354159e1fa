"""Reads what a chat completions server sent: an answer, or the truth about why there is none. Pure.

The body is checked here and not by the SDK, which takes any JSON for an answer.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol, TypedDict, cast

from pydantic import BaseModel, ValidationError

from durable_agents.errors import InvalidAgentOutput, ModelRejected, ModelUnavailable
from durable_agents.messages import ModelReply, TokenUsage
from durable_agents.models.server_errors import CONTENT_FILTER, failure_of, request_id_of
from durable_agents.models.sound_text import sound
from durable_agents.models.tool_calls import RawCall, read_calls

CUT_OFF, REFUSED = "length", "refusal"


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


class About(TypedDict):
    """What each error says of the request."""

    model: str
    request_id: str


class _Function(BaseModel):
    name: Any = None
    arguments: Any = None


class _Call(BaseModel):
    id: Any = None
    function: _Function = _Function()


class _Part(BaseModel):
    type: str = ""
    text: str = ""


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    # The form of before there were tools; some servers never left it.
    function_call: _Function | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return sound(self.content)
        return sound("".join(part.text for part in self.content or () if part.type == "text"))

    @property
    def raw_calls(self) -> list[RawCall]:
        calls = self.tool_calls or []
        if not calls and self.function_call is not None:
            calls = [_Call(function=self.function_call)]
        return [RawCall(one.id, one.function.name, one.function.arguments) for one in calls]


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Completion(BaseModel):
    choices: list[_Choice]
    model: str | None = None
    usage: Any = None


def read_reply(reply: HttpReply, model: str) -> ModelReply:
    """Return the answer in a reply with a good status.

    Raises:
        AgentCallFailed: There is none. An answer has a text, or calls, or both.
    """
    about = About(model=model, request_id=request_id_of(reply.headers))
    completion = _completion(reply, about)
    if not completion.choices:
        raise ModelUnavailable("the reply has no choices", **about)
    choice = completion.choices[0]
    usage = read_usage(completion.usage)
    text, calls = choice.message.text, read_calls(choice.message.raw_calls)
    if choice.message.refusal:
        raise ModelRejected("the model refused to answer", code=REFUSED, usage=usage, **about)
    if choice.finish_reason == CONTENT_FILTER:
        cause = "the content filter stopped the answer"
        raise ModelRejected(cause, code=CONTENT_FILTER, usage=usage, **about)
    if choice.finish_reason == CUT_OFF:
        raise cut_off(usage, about)
    if choice.finish_reason == "error":
        raise ModelUnavailable("the server broke off the reply", usage=usage, **about)
    if not text.strip() and not calls:
        cause = f"the reply is empty (finish reason {choice.finish_reason})"
        raise ModelUnavailable(cause, usage=usage, **about)
    return ModelReply(
        text=text,
        calls=calls,
        usage=usage,
        model=sound(completion.model or model),
        finish_reason=sound(choice.finish_reason or ""),
        request_id=about["request_id"],
    )


def cut_off(usage: TokenUsage, about: About) -> InvalidAgentOutput:
    """Return the error of an answer that came to the limit of its tokens."""
    return InvalidAgentOutput(
        f"the answer was cut off at {usage.output_tokens} tokens; allow more of them, or ask for "
        "less",
        code=CUT_OFF,
        usage=usage,
        **about,
    )


def read_usage(given: object) -> TokenUsage:
    """Return the tokens that a server counted, under the names of either API.

    A reply without a count that can be read is one uncounted call: no count is not zero tokens.
    """
    counts = _members(given)
    taken = _count(counts, "prompt_tokens", "input_tokens")
    made = _count(counts, "completion_tokens", "output_tokens")
    if taken is None and made is None:
        return TokenUsage(uncounted_calls=1)
    taken, made = taken or 0, made or 0
    of_input = _members(counts.get("prompt_tokens_details") or counts.get("input_tokens_details"))
    of_output = _members(
        counts.get("completion_tokens_details") or counts.get("output_tokens_details")
    )
    return TokenUsage(
        input_tokens=taken,
        output_tokens=made,
        total_tokens=max(_count(counts, "total_tokens") or 0, taken + made),
        # They are part of the others, whatever a server says.
        cached_tokens=min(_count(of_input, "cached_tokens") or 0, taken),
        reasoning_tokens=min(_count(of_output, "reasoning_tokens") or 0, made),
    )


def parsed_body(body: bytes, about: About, what: str) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises:
        ModelUnavailable: There is none.
    """
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        raise ModelUnavailable(
            f"the reply cannot be read as {what}: it is not valid JSON", **about
        ) from None
    if not isinstance(document, dict):
        raise ModelUnavailable(f"the reply cannot be read as {what}: it is no object", **about)
    return cast("dict[str, Any]", document)


def unreadable(error: ValidationError, about: About, what: str) -> ModelUnavailable:
    """Return the error of a reply that has not the form of its API."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    return ModelUnavailable(f"the reply cannot be read as {what}: '{place}' is wrong", **about)


def _completion(reply: HttpReply, about: About) -> _Completion:
    document = parsed_body(reply.content, about, "a chat completion")
    error = _members(document.get("error"))
    if error and not document.get("choices"):
        # A gateway that had begun to answer before its own server failed.
        code = error.get("code")
        status = code if isinstance(code, int) and 400 <= code <= 599 else 502
        raise failure_of(status, error, reply.headers, model=about["model"])
    try:
        return _Completion.model_validate(document)
    except ValidationError as wrong:
        raise unreadable(wrong, about, "a chat completion") from None


def _members(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _count(counts: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        count = counts.get(name)
        if isinstance(count, int | float) and not isinstance(count, bool) and 0 <= count < 2**53:
            return int(count)
    return None
