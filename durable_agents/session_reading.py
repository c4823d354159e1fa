"""What a model request is about: the messages it brings, and those of the session before them."""

from dataclasses import dataclass, field

from durable_agents.messages import Message, ModelRequest


@dataclass(frozen=True)
class Conversation:
    """The messages of a request.

    Attributes:
        messages: All of them, in order.
        taken: Those among them that were put into the turn while it ran, by their id.
    """

    messages: tuple[Message, ...]
    taken: dict[str, Message] = field(default_factory=dict[str, Message])


async def read_conversation(client: str, asked: ModelRequest) -> Conversation:
    """Return the conversation that a request belongs to."""
    own = asked.messages or (Message.of("user", asked.message),)
    return Conversation(own)
