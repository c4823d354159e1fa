"""What a scripted model says: replies and failures, in the form in which a server sends them."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel

from durable_agents.errors import AgentCallFailed
from durable_agents.messages import ModelReply
from durable_agents.models.chat_reply import read_reply
from durable_agents.models.server_errors import failure_of

USAGE: Mapping[str, Any] = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
"""What a reply costs that says nothing else."""


_FRESH = "\0fresh"  # stands for the id of a call that is given one when the reply is played


@dataclass(frozen=True)
class Scripted:
    """One reply of a script; make it with `says`, `calls` or `fails`.

    Attributes:
        shown: What it is, for messages.
        document: The JSON body of the reply.
        status: The HTTP status.
        headers: The headers, their names in lower case.
        failure: The error that the request fails with, or its class, in place of a reply.
        told: What an error of that class is told.
    """

    shown: str
    document: Mapping[str, Any] = field(default_factory=dict[str, Any])
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    failure: type[AgentCallFailed] | AgentCallFailed | None = None
    told: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        return json.dumps(self.document).encode()

    def with_ids(self, first: int) -> "Scripted":
        """Return it with ids for the calls that the test gave none, numbered from `first`."""
        document: dict[str, Any] = copy.deepcopy(dict(self.document))
        for choice in document.get("choices", ()):
            for number, call in enumerate(choice["message"].get("tool_calls") or (), first):
                if call["id"] == _FRESH:
                    call["id"] = f"call_{number}"
        return replace(self, document=document)

    def played(self, model: str) -> ModelReply:
        """Return the reply as the library's own clients read it.

        Raises:
            AgentCallFailed: It is none.
        """
        if isinstance(self.failure, AgentCallFailed):
            raise self.failure
        if self.failure is not None:
            told: dict[str, Any] = {"cause": "the script says so", "model": model, **self.told}
            raise self.failure(**told)
        if self.status >= 400:
            raise failure_of(self.status, self.document, self.headers, model=model)
        return read_reply(self, model)


type Script = Sequence[Scripted | str]


def scripted(one: Scripted | str) -> Scripted:
    """Return a reply; a text is said."""
    return says(one) if isinstance(one, str) else one


def says(
    value: Any,
    *,
    finish_reason: str = "stop",
    usage: Mapping[str, Any] | None = USAGE,
    **message: Any,
) -> Scripted:
    """Return a reply with a text.

    Args:
        value: The text; data and pydantic objects are said as JSON, and None as null.
        finish_reason: Why the model stopped.
        usage: The tokens, in the server's words; None for a server that does not count.
        **message: Other fields of the message, as a server calls them (`refusal`).
    """
    if isinstance(value, BaseModel):
        text = value.model_dump_json()
    else:
        text = value if isinstance(value, str | None) else json.dumps(value)
    message = {"role": "assistant", "content": text, **message}
    choice = {"index": 0, "finish_reason": finish_reason, "message": message}
    document: dict[str, Any] = {"object": "chat.completion", "choices": [choice]}
    if usage is not None:
        document["usage"] = dict(usage)
    names = [call["function"]["name"] for call in message.get("tool_calls") or ()]
    shown = f"calls of {', '.join(map(str, names))}" if names else f"{(text or '')[:200]!r}"
    return Scripted(shown, document, headers={"x-request-id": "scripted"})


def calls(
    *tools: tuple[str, Any] | tuple[str, Any, Any],
    text: str | None = None,
    finish_reason: str = "tool_calls",
    usage: Mapping[str, Any] | None = USAGE,
) -> Scripted:
    """Return a reply that asks for tools.

    Args:
        tools: Each as its name and its arguments: data, or any text in place of JSON. A third
            item is the id of the call; without one it gets an id that no other reply has.
        text: What the model says with it.
        finish_reason: Why the model stopped.
        usage: The tokens, in the server's words.
    """
    asked = [
        {
            "id": tool[2] if len(tool) == 3 else _FRESH,
            "type": "function",
            "function": {"name": tool[0], "arguments": _written(tool[1])},
        }
        for tool in tools
    ]
    return says(text, finish_reason=finish_reason, usage=usage, tool_calls=asked)


def fails(
    what: int | type[AgentCallFailed] | AgentCallFailed,
    *,
    code: str = "",
    message: str = "the script says so",
    headers: Mapping[str, str] | None = None,
    error: Mapping[str, Any] | None = None,
    **told: Any,
) -> Scripted:
    """Return a failure.

    Args:
        what: An HTTP status that the server answers with; or the class of the library's error that
            the request fails with, or the error.
        code: The server's word for what is wrong, for a status.
        message: The server's message, for a status.
        headers: The headers of the reply, for a status (`retry-after`).
        error: Other fields of the server's error object, for a status (`param`, `innererror`).
        **told: What the error is told, for a class (`retry_after=7`, `cause=...`).
    """
    if not isinstance(what, int):
        return Scripted(f"the failure {what!r}", failure=what, told=told)
    described = {"message": message, "type": "scripted", "code": code or None, **(error or {})}
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    return Scripted(f"HTTP {what} {code}".strip(), {"error": described}, what, sent)


def _written(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)
