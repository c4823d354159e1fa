"""What a tool's function sees of the library: the call that it serves, and how it says no."""

import os
from dataclasses import dataclass, field

from durable_agents.messages import Principal
from durable_agents.tools.callback_urls import callback_url


@dataclass(frozen=True)
class Later:
    """What a tool returns in place of a result that somebody brings later: `context.later()`."""


@dataclass(frozen=True)
class ToolContext:
    """The call that a tool serves. A parameter annotated with this class is given one.

    Models are not told of such a parameter.

    Attributes:
        instance_id: The orchestration that the call belongs to.
        call_id: The id of the call.
        idempotency_key: The same in every attempt of the call, and no other call's.
        attempt: Which attempt this is, from 1.
        agent: The agent whose model asked for the call.
        session_id: The session, or an empty text.
        principal: Who called the agent, if the platform says so.
        callback: The end of the callback URL; empty for a tool without `later=True`.
    """

    instance_id: str = ""
    call_id: str = ""
    idempotency_key: str = ""
    attempt: int = 1
    agent: str = ""
    session_id: str = ""
    principal: Principal | None = None
    callback: str = field(default="", repr=False)

    @property
    def callback_url(self) -> str:
        """The URL to which the result may be posted: once, by whoever has the URL.

        It is the same in every attempt of the call.

        Raises:
            ConfigurationError: The tool has no `later=True`, or nothing says where this app is.
        """
        return callback_url(self.callback, os.environ)

    def later(self) -> Later:
        """Return what the tool returns when somebody else brings its result."""
        return Later()


class ToolError(Exception):
    """A failure whose words are meant for the model. Other exceptions are told by type alone.

    Attributes:
        message: What the model is told.
        retriable: Whether another attempt may succeed.
    """

    def __init__(self, message: str, *, retriable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.retriable = retriable
