"""Reads what a chat completions server sent: an answer, or the truth about why there is none. Pure.

The body is checked here and not by the SDK, which takes any JSON for an answer.
"""

from typing import Any

from pydantic import BaseModel, ValidationError

from durable_agents.errors import ModelRejected, ModelUnavailable
from durable_agents.messages import ModelReply
from durable_agents.models.reply_parts import (
    CUT_OFF,
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


def _completion(reply: HttpReply, about: About) -> _Completion:
    document = parsed_body(reply.content, about, "a chat completion")
    error = members(document.get("error"))
    if error and not document.get("choices"):
        # A gateway that had begun to answer before its own server failed.
        code = error.get("code")
        status = code if isinstance(code, int) and 400 <= code <= 599 else 502
        raise failure_of(status, error, reply.headers, model=about["model"])
    try:
        return _Completion.model_validate(document)
    except ValidationError as wrong:
        raise unreadable(wrong, about, "a chat completion") from None
