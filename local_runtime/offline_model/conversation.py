"""What a request asks the offline model, whichever API it came by."""

from dataclasses import dataclass, field
from typing import Any


class InvalidRequest(Exception):
    """The request makes no sense; `param` names the field, where there is one."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True)
class Tool:
    """A tool that may be called."""

    name: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Conversation:
    """The instructions (system messages), the last user message, and what came of tools since."""

    instructions: str
    user_text: str
    results: tuple[tuple[str, str], ...] = ()
    """Names and results of the tools that were called after the last user message."""


@dataclass(frozen=True)
class Asked:
    """A request: all that the offline model heeds of it."""

    conversation: Conversation
    wants_json: bool = False
    schema: dict[str, Any] | None = None
    """The JSON schema that the reply must satisfy, if one is given."""
    tools: tuple[Tool, ...] = ()
    forced_tool: str = ""
    """The tool that has to be called, whatever the text says."""
    prompt_chars: int = 0


@dataclass(frozen=True)
class Call:
    """A call that the offline model asks for."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    """What the offline model says: a text, or calls."""

    text: str = ""
    calls: tuple[Call, ...] = field(default=())

    @property
    def characters(self) -> int:
        """How long it is, for the count of tokens."""
        return len(self.text) + sum(len(call.name + call.arguments) for call in self.calls)
