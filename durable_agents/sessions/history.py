"""What readers get of a session: the model its conversation, people its history. Pure."""

from typing import Any

from durable_agents.errors import AgentCancelled
from durable_agents.messages import ImagePart, Message, SessionTurn, TextPart
from durable_agents.sessions.compaction import turns_to_keep
from durable_agents.sessions.document import usage_document
from durable_agents.sessions.state import COMPLETED, SessionState, Turn

SUMMARY = "Summary of the conversation so far, made from its older messages:\n"


def conversation(
    state: SessionState | None, turn: SessionTurn
) -> tuple[tuple[Message, ...], dict[str, Message]]:
    """Return what a model is told before what the run itself has to say.

    Returns:
        The summary, the messages of completed turns and the request of this turn; and the messages
        that were put into this turn and are not yet taken in, by their id. Those belong at the end,
        after what was said in the turn.

    Raises:
        AgentCancelled: The turn no longer has the session: it was taken over, or deleted.
    """
    running = state.running if state is not None else None
    if state is None or running is None or running.id != turn.turn:
        raise AgentCancelled(
            f"the turn no longer has session '{turn.key:.100}': it was ended or deleted",
            agent=turn.agent,
        )
    seen = state.with_draft()
    said = spoken(seen.completed)
    messages = with_summary(seen.summary, (*said, *running.request))
    return messages, state.steering(turn.taken)


def spoken(turns: tuple[Turn, ...]) -> tuple[Message, ...]:
    """Return the messages of turns, in order."""
    return tuple(message for turn in turns for message in (*turn.request, *turn.reply))


def with_summary(summary: str, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Put a summary before messages, into the first of them if a user says it.

    It is never a system message: it was made of what users, tools and models wrote.
    """
    if not summary:
        return messages
    part = TextPart(text=SUMMARY + summary)
    if messages and messages[0].role == "user":
        first = messages[0].model_copy(update={"parts": (part, *messages[0].parts)})
        return (first, *messages[1:])
    return (Message(role="user", parts=(part,)), *messages)


def to_summarise(state: SessionState, keep: int | None = None) -> tuple[Message, ...]:
    """Return what `compact` with the same `keep` would replace: with the summary of before it."""
    seen = state.with_draft()
    completed = seen.completed
    older = completed[: max(0, len(completed) - turns_to_keep(seen, keep))]
    return with_summary(seen.summary, spoken(older)) if older else ()


def exported(state: SessionState) -> dict[str, Any]:
    """Return a session as people read it: plain JSON, every call with its result."""
    return {
        "turns": [turn_for_people(turn) for turn in state.turns],
        "summary": state.summary,
        "dropped_turns": state.dropped,
        "waiting": len(state.waiting),
        "running": state.holder,
        "usage": state.usage.model_dump(),
        "used_at": state.used_at,
    }


def turn_for_people(turn: Turn) -> dict[str, Any]:
    """Return a turn as people read it; one that is broken says so."""
    told: dict[str, Any] = {
        "id": turn.id,
        "at": turn.at,
        "status": turn.outcome or "running",
        "broken": turn.outcome not in ("", COMPLETED),
        "messages": [message_for_people(message) for message in (*turn.request, *turn.reply)],
    }
    if turn.error:
        told["error"] = turn.error
    if usage_document(turn.usage):
        told["usage"] = turn.usage.model_dump()
    return told


def message_for_people(message: Message) -> dict[str, Any]:
    """Return a message as people read it."""
    told: dict[str, Any] = {"role": message.role, "text": message.text}
    if message.author:
        told["author"] = message.author
    images = [part.url for part in message.parts if isinstance(part, ImagePart)]
    if images:
        told["images"] = images
    if message.calls:
        told["calls"] = [call.model_dump() for call in message.calls]
    if message.result is not None:
        told |= {"call_id": message.result.call_id, "tool": message.result.name}
        told["is_error"] = message.result.is_error
    return told
