"""What a model request is about: the messages it brings, and those of the session before them."""

from dataclasses import dataclass, field

from durable_agents.durable_clients import durable_client
from durable_agents.messages import Message, ModelRequest, SessionTurn
from durable_agents.sessions import (
    SessionState,
    conversation,
    from_document,
    session_entity_id,
    to_summarise,
)


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
    """Return the conversation that a request belongs to.

    In a session: what was said before, what this turn was told, what the run has said since (the
    request brings it), and what was put into the turn and is not yet taken in.

    Args:
        client: What the binding of a durable client says.
        asked: The request.

    Raises:
        AgentCancelled: The turn no longer has its session.
        AgentCallFailed: There is no durable client to read the session with.
    """
    if asked.session is None:
        return Conversation(asked.messages or (Message.of("user", asked.message),))
    state = await read_session(client, asked.session)
    before, steering = conversation(state, asked.session)
    if asked.session.older and state is not None:
        return Conversation((*to_summarise(state), *asked.messages))
    return Conversation((*before, *asked.messages, *steering.values()), steering)


async def read_session(client: str, session: SessionTurn) -> SessionState | None:
    """Return the state of a session, None if there is none."""
    entity = session_entity_id(session.agent, session.key)
    found = await durable_client(client).get_entity(entity, include_state=True)
    document = found.get_typed_state() if found is not None else None
    return from_document(document) if document is not None else None
