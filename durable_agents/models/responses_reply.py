"""Reads what a Responses server sent: an answer, not yet one, or why there is none. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from durable_agents.errors import AgentCallFailed, ModelRejected, ModelUnavailable
from durable_agents.messages import ModelReply
from durable_agents.models.reply_parts import (
    REFUSED,
    About,
    HttpReply,
    cut_off,
    members,
    parsed_body,
    read_usage,
    unreadable,
)
from durable_agents.models.server_errors import CONTENT_FILTER, failure_of, request_id_of
from durable_agents.models.tool_calls import RawCall, read_calls
from durable_agents.sound_text import sound

CANCELLED = "cancelled"

_WHAT = "a response"
_UNDER_WAY = ("queued", "in_progress")
_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")
# What the server says of a response that failed, as the status it would have sent at once.
_STATUS_OF = {"rate_limit_exceeded": 429, "insufficient_quota": 429}
_SERVERS_FAULTS = {"server_error", "vector_store_timeout", "timeout", ""}


class _Part(BaseModel):
    type: str = ""
    text: str = ""
    refusal: str | None = None


class _Item(BaseModel):
    type: str = ""
    content: list[_Part] | None = None
    id: Any = None
    call_id: Any = None
    name: Any = None
    arguments: Any = None


class _Response(BaseModel):
    status: str = "completed"
    error: dict[str, Any] | None = None
    incomplete_details: dict[str, Any] | None = None
    output: list[_Item] = Field(default_factory=list[_Item])
    model: str | None = None
    usage: Any = None

    @property
    def parts(self) -> list[_Part]:
        said = (item.content or [] for item in self.output if item.type == "message")
        return [part for parts in said for part in parts]


def read_response(reply: HttpReply, model: str) -> ModelReply | None:
    """Return the answer in a reply with a good status; None as long as the model is at it.

    Raises:
        AgentCallFailed: There is none. An answer has a text, or calls, or both.
    """
    about = About(model=model, request_id=request_id_of(reply.headers))
    response = _response(reply, about)
    if response.status in _UNDER_WAY:
        return None
    usage = read_usage(response.usage)
    if (failure := _failure(response, reply.headers, about)) is not None:
        raise failure
    text = sound("".join(part.text for part in response.parts if part.type == "output_text"))
    calls = read_calls(
        [
            RawCall(item.call_id or item.id, item.name, item.arguments)
            for item in response.output
            if item.type == "function_call"
        ]
    )
    if not text.strip() and not calls:
        cause = f"the reply is empty (status {response.status})"
        raise ModelUnavailable(cause, usage=usage, **about)
    return ModelReply(
        text=text,
        calls=calls,
        usage=usage,
        model=sound(response.model or model),
        finish_reason=sound(response.status),
        request_id=about["request_id"],
    )


def read_response_id(reply: HttpReply, model: str) -> str:
    """Return the id of a response that was begun.

    Raises:
        ModelUnavailable: The reply has none that can be asked for.
    """
    about = About(model=model, request_id=request_id_of(reply.headers))
    response_id = parsed_body(reply.content, about, _WHAT).get("id")
    if not is_response_id(response_id):
        raise ModelUnavailable(f"the reply cannot be read as {_WHAT}: 'id' is wrong", **about)
    return str(response_id)


def is_response_id(value: object) -> bool:
    """Return whether a value can be the id of a response: it becomes a part of an address."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _failure(
    response: _Response, headers: Mapping[str, str], about: About
) -> AgentCallFailed | None:
    usage = read_usage(response.usage)
    if any(part.type == "refusal" or part.refusal for part in response.parts):
        return ModelRejected("the model refused to answer", code=REFUSED, usage=usage, **about)
    match response.status:
        case "completed":
            return None
        case "incomplete":
            reason = members(response.incomplete_details).get("reason")
            if reason == CONTENT_FILTER:
                cause = "the content filter stopped the answer"
                return ModelRejected(cause, code=CONTENT_FILTER, usage=usage, **about)
            return cut_off(usage, about)
        case "cancelled":
            cause = "the request was cancelled at the server"
            return ModelRejected(cause, code=CANCELLED, usage=usage, **about)
        case _:
            error = members(response.error)
            code = str(error.get("code") or "")
            status = _STATUS_OF.get(code, 500 if code in _SERVERS_FAULTS else 400)
            return failure_of(status, error, headers, model=about["model"], usage=usage)


def _response(reply: HttpReply, about: About) -> _Response:
    document = parsed_body(reply.content, about, _WHAT)
    if not isinstance(document.get("output"), list) and not document.get("error"):
        # Anything at all would pass for a response without output.
        if document.get("status") not in (*_UNDER_WAY, "cancelled"):
            raise ModelUnavailable(f"the reply cannot be read as {_WHAT}: no 'output'", **about)
        document["output"] = []
    if document.get("error") and "status" not in document:
        document["status"] = "failed"
    try:
        return _Response.model_validate(document)
    except ValidationError as wrong:
        raise unreadable(wrong, about, _WHAT) from None
