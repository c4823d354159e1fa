"""What the replies of all model servers have in common: tokens, and bodies that are none. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Protocol, TypedDict, cast

from pydantic import ValidationError

from durable_agents.errors import InvalidAgentOutput, ModelUnavailable
from durable_agents.messages import TokenUsage

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
    counts = members(given)
    taken = _count(counts, "prompt_tokens", "input_tokens")
    made = _count(counts, "completion_tokens", "output_tokens")
    if taken is None and made is None:
        return TokenUsage(uncounted_calls=1)
    taken, made = taken or 0, made or 0
    of_input = members(counts.get("prompt_tokens_details") or counts.get("input_tokens_details"))
    of_output = members(
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


def usage_in(reply: HttpReply) -> TokenUsage:
    """Return the tokens that a reply counts, whatever else is in it."""
    try:
        document = parsed_body(reply.content, About(model="", request_id=""), "a response")
    except ModelUnavailable:
        document = {}
    return read_usage(document.get("usage"))


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


def members(value: object) -> dict[str, Any]:
    """Return the members of a JSON object; none of what is no object."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _count(counts: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        count = counts.get(name)
        if isinstance(count, int | float) and not isinstance(count, bool) and 0 <= count < 2**53:
            return int(count)
    return None
