"""When a session expires. Pure: the entity sends itself a signal, and asks here when it comes."""

from dataclasses import replace
from datetime import datetime, timedelta

from durable_agents.sessions.state import SessionState
from durable_agents.sessions.words import Touch, as_utc


def touch(state: SessionState | None, request: Touch) -> SessionState | None:
    """Return the state of a session that is used without a turn."""
    return state and replace(state, used_at=max(state.used_at, request.at))


def expires_at(state: SessionState, ttl: timedelta) -> str:
    """Return when a session expires if nobody uses it until then."""
    return as_utc((datetime.fromisoformat(state.used_at) + ttl).isoformat())


def has_expired(state: SessionState, ttl: timedelta, now: str) -> bool:
    """Whether nobody has used a session for so long; one that a run has is in use."""
    return not state.holder and expires_at(state, ttl) <= now


def waking(state: SessionState, ttl: timedelta, now: str = "") -> SessionState:
    """Return the state of a session whose signal comes when it may have expired.

    Args:
        state: The session's state.
        ttl: How long after its last use it expires.
        now: The moment of the signal before, if there was one: the next one comes after it.
    """
    due = expires_at(state, ttl)
    if due <= now:
        due = as_utc((datetime.fromisoformat(now) + ttl).isoformat())
    return replace(state, wakes_at=due)
