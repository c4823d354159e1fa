"""What a model is to the library: one request in, one reply out. It knows no agent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from pydantic import JsonValue

from durable_agents.messages import Message, ModelReply, OutputSchema, TokenUsage

# The model and the form of a request are not options: they are decided elsewhere.
RESERVED_OPTIONS = frozenset(
    {"model", "messages", "input", "response_format", "stream", "n", "tools", "background"}
)


@dataclass(frozen=True)
class ToolSpec:
    """A tool as a model's server is told of it.

    Attributes:
        name: Its name; letters, digits, `_` and `-`, 64 at most.
        description: What it does.
        parameters: A JSON schema, an object with properties.
        strict: Whether the server can be asked to hold the model to the schema.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool = False


@dataclass(frozen=True)
class ChatRequest:
    """One request to a model.

    Attributes:
        messages: The conversation, with the instructions as its first message.
        tools: The tools that the model may ask for.
        output: The form that the answer must have, if any.
        options: Fields of the request, as the server calls them.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    output: OutputSchema | None = None
    options: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


class ChatModel(Protocol):
    """A way to a model. Retries are not its business: they are made durably, outside."""

    @property
    def model(self) -> str:
        """The name of the model or deployment, for messages."""
        ...

    async def complete(self, request: ChatRequest) -> ModelReply:
        """Ask the model once. A cancelled call closes its connection.

        Raises:
            AgentCallFailed: There is no usable answer; the type says who must act. It names no
                agent: who asked fills that in.
        """
        ...


@runtime_checkable
class BackgroundModel(ChatModel, Protocol):
    """A way to a model whose server makes responses in the background, under an id.

    A crash between the request and the answer then costs no second request: the id is recorded as
    soon as the server has given it, and asked for until there is an answer.
    """

    @property
    def background(self) -> bool:
        """Whether it is to be used so."""
        ...

    async def submit(self, request: ChatRequest) -> str:
        """Have the server begin with a request, and return the id of its response.

        Raises:
            AgentCallFailed: It has not begun, as far as is known.
        """
        ...

    async def poll(self, response_id: str) -> ModelReply | None:
        """Return the answer, or None as long as the model is at it.

        Raises:
            ResponseLost: The server does not know the id, or not any more.
            AgentCallFailed: There is no usable answer, or the server cannot be asked just now.
        """
        ...

    async def cancel(self, response_id: str) -> TokenUsage:
        """Have the server stop, and return what had been used until then, as far as it says so.

        Raises:
            ResponseLost: The server does not know the id, or not any more.
            AgentCallFailed: The server cannot be asked just now.
        """
        ...
