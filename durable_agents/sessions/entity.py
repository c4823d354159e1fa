"""The durable entity that keeps a session: it reads the state, does one operation, stores it.

The entity of an agent is named `dafx-<agent>` and its key is the session's id. What it decides is
decided in `operations`; here are only the state, the clock of the caller and the expiry.
"""

import re
import unicodedata
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, cast

from durabletask.entities import DurableEntity, EntityInstanceId

from durable_agents.sessions import operations
from durable_agents.sessions.document import from_document, to_document
from durable_agents.sessions.expiry import has_expired, touch, waking
from durable_agents.sessions.state import SessionState
from durable_agents.sessions.words import (
    Begin,
    Clearance,
    Compact,
    Done,
    Finish,
    Leave,
    SessionPolicy,
    Touch,
)

ENTITY_PREFIX = "dafx-"
LONGEST_SESSION_ID = 256
_NO_PART_OF_A_KEY = ("Cc", "Cs", "Zl", "Zp")
_UNSAFE = re.compile(r"[%@/\\#?\x00-\x1f\x7f]")


def entity_name(agent: str) -> str:
    """Return the name of the entity that keeps an agent's sessions."""
    return ENTITY_PREFIX + agent


def session_entity_id(agent: str, session: str) -> EntityInstanceId:
    """Return the id of the entity that keeps a session.

    Its key is the session's id. Characters that an id of an entity cannot have somewhere are
    written as in URLs: `ann@example.com` is `ann%40example.com`.
    """
    return EntityInstanceId(entity_name(agent), _UNSAFE.sub(_escaped, session))


def _escaped(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


def session_id_problem(text: str) -> str:
    """Return why a text cannot be the id of a session: the key of an entity; empty if it can."""
    if not text.strip():
        return "a text that is not empty is needed"
    if any(unicodedata.category(one) in _NO_PART_OF_A_KEY for one in text):
        return "it has a control character in it, or half of a surrogate pair"
    if len(session_entity_id("", text).key) > LONGEST_SESSION_ID:
        return f"it has more than {LONGEST_SESSION_ID} characters; each of % @ / \\ # ? is three"
    return ""


def session_entity(agent: str, policy: SessionPolicy) -> type[DurableEntity]:
    """Make the entity of an agent's sessions; it is registered under `entity_name(agent)`."""
    name = entity_name(agent)
    members = {
        "policy": policy,
        "__durable_entity_name__": name,
        "__doc__": f"Keeps the sessions of agent '{agent}'.",
        "__module__": __name__,
    }
    return type(name, (SessionEntity,), members)


class SessionEntity(DurableEntity):
    """The operations of a session: each takes and returns plain JSON, the `words` of the session.

    An input that cannot be read fails the operation and changes nothing.
    """

    policy: ClassVar[SessionPolicy] = SessionPolicy()

    def begin(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask for the session: a `Begin`, answered by a `Grant`."""
        state, grant = operations.begin(load(self), Begin.model_validate(request), self.policy)
        store(self, state)
        return grant.to_json()

    def finish(self, request: dict[str, Any]) -> dict[str, Any]:
        """End a turn: a `Finish`, answered by a `Closing`."""
        state, closing = operations.finish(load(self), Finish.model_validate(request), self.policy)
        store(self, state)
        return closing.to_json()

    def leave(self, request: dict[str, Any]) -> None:
        """Give up a place in line: a `Leave`."""
        store(self, operations.leave(load(self), Leave.model_validate(request)))

    def compact(self, request: dict[str, Any]) -> dict[str, Any]:
        """Replace the older turns: a `Compact`, answered by a `Compacted`."""
        state, compacted = operations.compact(load(self), Compact.model_validate(request))
        store(self, state)
        return compacted.to_json()

    def touch(self, request: dict[str, Any]) -> None:
        """Say that the session is in use: a `Touch`."""
        store(self, touch(load(self), Touch.model_validate(request)))

    def reset(self, request: dict[str, Any] | None = None) -> dict[str, Any]:
        """Forget the conversation: a `Clearance`, answered by a `Done`."""
        state = permitted(self, request)
        if state is not None:
            store(self, operations.reset(state))
        return Done(done=state is not None).to_json()

    def delete(self, input: Any = None) -> Any:
        """Delete the session: a `Clearance`, answered by a `Done`."""
        state = permitted(self, input)
        if state is not None:
            self.set_state(None)
        return Done(done=state is not None).to_json()

    def expire(self, due: str) -> None:
        """The entity's own signal: delete the session if nobody has used it since.

        Args:
            due: The moment that the signal was sent for.
        """
        state = load(self)
        if state is None or state.wakes_at != due:
            return
        if self.policy.ttl is not None and has_expired(state, self.policy.ttl, due):
            self.set_state(None)
        else:
            store(self, replace(state, wakes_at=""), now=due)


def load(entity: SessionEntity) -> SessionState | None:
    """Return the session's state, None if there is no session."""
    document = cast("object", entity.get_state())
    return None if document is None else from_document(document)


def store(entity: SessionEntity, state: SessionState | None, now: str = "") -> None:
    """Store the state, and have the entity wake when it may have expired: one signal at a time."""
    if state is None:
        return
    ttl = entity.policy.ttl
    if ttl is not None and not state.wakes_at and state.used_at:
        state = waking(state, ttl, now)
        entity.signal_entity(
            entity.entity_context.entity_id,
            "expire",
            state.wakes_at,
            signal_time=datetime.fromisoformat(state.wakes_at),
        )
    entity.set_state(to_document(state))


def permitted(entity: SessionEntity, request: object) -> SessionState | None:
    """Return the state if there is one and who asks may clear it."""
    asked = Clearance.model_validate(request or {})
    state = load(entity)
    if state is None or not (asked.anyone or state.permits(asked.principal)):
        return None
    return state
