"""Sorts what a model's server said of a failed request into errors, by who must act. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import openai

from durable_agents.errors import (
    AgentCallFailed,
    ModelRateLimited,
    ModelRejected,
    ModelUnavailable,
)
from durable_agents.messages import TokenUsage

CONTENT_FILTER = "content_filter"
CONTEXT_LENGTH = "context_length_exceeded"
QUOTA = "insufficient_quota"

# The server was not able to answer this time; any other 4xx is an answer, and stays the same.
_RETRIABLE = {408, 409, 429}
_LONGEST_QUOTE = 300
# A text of the request that is shorter is in many messages by chance.
_SHORTEST_PRIVATE = 8
# Thirty years and more are a mistake, and not a wish.
_ABSURD_RETRY_AFTER = 1e9
_SECONDS = re.compile(r"\d{1,12}(\.\d{1,12})?")

# Without underscores and in small letters: servers do not agree on how to write them.
_QUOTA_CODES = {"insufficientquota", "billinghardlimitreached", "billingnotactive"}
_FILTER_CODES = {"contentfilter", "contentpolicyviolation", "responsibleaipolicyviolation"}
_CONTEXT_CODES = {"contextlengthexceeded", "exceedcontextsizeerror"}
# Compatible servers often have no code for it.
_CONTEXT_WORDS = re.compile(
    r"maximum context length|context (?:length|window|size)|prompt is too long", re.IGNORECASE
)
_TOO_LARGE_FOR_THE_LIMIT = re.compile(r"request too large", re.IGNORECASE)
_PARAMETER_CODES = {"unsupportedparameter", "unsupportedvalue", "unknownparameter"}
_WORD = re.compile(r"[A-Za-z0-9_.\[\]-]{1,100}")


@dataclass(frozen=True)
class _Said:
    """The server's error object, read without trust."""

    code: str
    kind: str
    param: str
    message: str
    filtered: tuple[str, ...]

    def is_one_of(self, codes: set[str]) -> bool:
        return any(word.replace("_", "").lower() in codes for word in (self.code, self.kind))

    @property
    def sorted_code(self) -> str:
        """The code, in one spelling for what is decided by it."""
        if self.filtered or self.is_one_of(_FILTER_CODES):
            return CONTENT_FILTER
        if self.is_one_of(_QUOTA_CODES):
            return QUOTA
        if self.is_one_of(_CONTEXT_CODES):
            return CONTEXT_LENGTH
        code = self.code or self.kind
        return code if _WORD.fullmatch(code) else ""


def failed_request(
    error: openai.APIStatusError, model: str, private: Iterable[str] = ()
) -> AgentCallFailed:
    """Return the error that a reply with a bad status stands for.

    Args:
        error: The reply, as the SDK tells of it.
        model: The model's name.
        private: Texts of the request; what quotes one of them is left out of the cause.
    """
    return failure_of(
        error.status_code,
        error.body,
        error.response.headers,
        model=model,
        reason=error.response.reason_phrase,
        private=private,
    )


def failure_of(
    status: int,
    body: object,
    headers: Mapping[str, str],
    *,
    model: str,
    reason: str = "",
    private: Iterable[str] = (),
    usage: TokenUsage | None = None,
) -> AgentCallFailed:
    """Return the error that a status and the server's error object stand for."""
    said = _read(body)
    code = said.sorted_code
    if status in (400, 413) and not code.startswith("content") and _is_overflow(said):
        code = CONTEXT_LENGTH
    cause = f"HTTP {status} {_told(said, code, reason, tuple(private))}".strip()
    request_id = request_id_of(headers)
    if status == 429 and (code == QUOTA or _TOO_LARGE_FOR_THE_LIMIT.match(said.message)):
        return ModelRejected(cause, model=model, request_id=request_id, code=code, usage=usage)
    if status in _RETRIABLE or status >= 500:
        kind = ModelRateLimited if status == 429 else ModelUnavailable
        return kind(
            cause,
            model=model,
            request_id=request_id,
            retry_after=retry_after_seconds(headers),
            code=code,
            usage=usage,
        )
    return ModelRejected(cause, model=model, request_id=request_id, code=code, usage=usage)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return how long the server wants to be left alone, if it says so in a way that counts."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return _sensible(milliseconds / 1000)
    value = headers.get("retry-after")
    if (seconds := _number(value)) is not None:
        return _sensible(seconds)
    moment, sent = _moment(value), _moment(headers.get("date"))
    if moment is None:
        return None
    # By the server's own clock where it can be known: ours may be off.
    now = sent or datetime.now(UTC)  # noqa: TID251 - outside any orchestration, and never stored
    return _sensible(max(0.0, (moment - now).total_seconds()))


def request_id_of(headers: Mapping[str, str]) -> str:
    """Return the server's id of the request, or an empty text."""
    return headers.get("x-request-id") or headers.get("apim-request-id") or ""


def _told(said: _Said, code: str, reason: str, private: tuple[str, ...]) -> str:
    """Return what went wrong in one line, without any text of the request."""
    if code == CONTENT_FILTER:
        # In our words: the server's may quote what was filtered.
        categories = f" ({', '.join(said.filtered)})" if said.filtered else ""
        return f"{CONTENT_FILTER}: the content filter stopped the request{categories}"
    message = "" if _quotes(said.message, private) else said.message
    parts = [said.code or said.kind]
    if code == CONTEXT_LENGTH and CONTEXT_LENGTH not in parts:
        parts.append(CONTEXT_LENGTH)
    if code == QUOTA:
        parts.append("the quota is used up; waiting does not help")
    if said.param and said.is_one_of(_PARAMETER_CODES) and said.param not in message:
        parts.append(f"the model does not take '{said.param}'")
    parts.append(message)
    return ": ".join(filter(None, parts))[:_LONGEST_QUOTE] or reason


def _quotes(message: str, private: tuple[str, ...]) -> bool:
    for text in private:
        start = " ".join(text.split())[:40]
        if len(start) >= _SHORTEST_PRIVATE and start in " ".join(message.split()):
            return True
    return False


def _read(body: object) -> _Said:
    if isinstance(body, list) and body:  # some servers send a list of one
        body = cast("list[object]", body)[0]
    if not isinstance(body, dict):
        return _Said("", "", "", "", ())
    said = cast("dict[str, Any]", body)
    if isinstance(said.get("error"), dict):
        said = cast("dict[str, Any]", said["error"])
    inner = said.get("innererror")
    details = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}
    param = _text(said.get("param"))
    return _Said(
        code=_text(said.get("code")),
        kind=_text(said.get("type")),
        param=param if _WORD.fullmatch(param) else "",
        message=_text(said.get("message")),
        filtered=tuple(_filtered(said) | _filtered(details)),
    )


def _filtered(said: Mapping[str, Any]) -> dict[str, None]:
    """Return the categories that a filter stopped, in the server's order."""
    results: list[object] = [said.get("content_filter_result"), said.get("content_filter_results")]
    listed = said.get("content_filters")
    for one in cast("list[object]", listed) if isinstance(listed, list) else []:
        if isinstance(one, dict) and cast("dict[str, object]", one).get("blocked") is not False:
            results.append(cast("dict[str, object]", one).get("content_filter_results"))
    found: dict[str, None] = {}
    for result in results:
        if not isinstance(result, dict):
            continue
        for name, verdict in cast("dict[str, object]", result).items():
            stopped = isinstance(verdict, dict) and cast("dict[str, Any]", verdict).get("filtered")
            if stopped is True and _WORD.fullmatch(name):
                found[name] = None
    return found


def _is_overflow(said: _Said) -> bool:
    return said.is_one_of(_CONTEXT_CODES) or bool(_CONTEXT_WORDS.search(said.message))


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _sensible(seconds: float) -> float | None:
    return seconds if seconds < _ABSURD_RETRY_AFTER else None


def _number(value: str | None) -> float | None:
    return float(value) if value and _SECONDS.fullmatch(value) else None


def _moment(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
