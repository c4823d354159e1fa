"""The one door: every event for an instance or an entity enters through its inbox."""

import sqlite3

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime import faults
from local_runtime.scheduler.engine.decision import Message
from local_runtime.scheduler.engine.entity import Queued
from local_runtime.scheduler.storage.transaction import Transaction

_FOR_ENTITIES = frozenset(
    {
        "entityOperationSignaled",
        "entityOperationCalled",
        "entityLockRequested",
        "entityUnlockSent",
    }
)


_DUE = {
    "timerFired": "a timer",
    "executionStarted": "the start",
    "entityOperationSignaled": "a signal",
    "entityOperationCalled": "a call",
}
"""What may be kept until it is due, in words for the log."""


def is_entity(target_id: str) -> bool:
    """Whether an id names an entity and not an orchestration."""
    return target_id.startswith("@")


def put(tx: Transaction, target_id: str, event: pb.HistoryEvent) -> None:
    """Put an event into an inbox; the target will be handed to a worker."""
    tx.connection.execute(
        "INSERT INTO inbox (position, target_id, event) VALUES (?, ?, ?)",
        (tx.new_key(), target_id, event.SerializeToString()),
    )
    tx.effects.ready[target_id] = None


def delay(
    tx: Transaction, target_id: str, execution_id: str | None, event: pb.HistoryEvent, due_at: int
) -> None:
    """Keep an event until it is due."""
    tx.connection.execute(
        "INSERT INTO delayed (delayed_key, due_at, target_id, execution_id, event)"
        " VALUES (?, ?, ?, ?, ?)",
        (tx.new_key(), due_at, target_id, execution_id, event.SerializeToString()),
    )
    tx.effects.delayed(due_at)


def send(tx: Transaction, message: Message) -> bool:
    """Deliver a message now, or keep it until it is due.

    A message for an instance that is missing, finished, or of another generation is dropped:
    nobody is there to read it. So is one for an entity that is neither an operation nor a lock's.

    Returns:
        Whether it was kept.
    """
    to_entity = is_entity(message.target_id)
    if to_entity and message.event.WhichOneof("eventType") not in _FOR_ENTITIES:
        return False
    if message.due_at is not None and message.due_at > tx.now:
        delay(tx, message.target_id, message.execution_id, message.event, message.due_at)
        return True
    if not to_entity:
        row = tx.connection.execute(
            "SELECT execution_id FROM instances WHERE instance_id = ? AND completed_at IS NULL",
            (message.target_id,),
        ).fetchone()
        if row is None or message.execution_id not in (None, row[0]):
            return False
    put(tx, message.target_id, message.event)
    return True


def queue(connection: sqlite3.Connection, target_id: str) -> list[tuple[int, bytes]]:
    """Return an inbox, oldest first, as positions and serialized events."""
    return connection.execute(
        "SELECT position, event FROM inbox WHERE target_id = ? ORDER BY position", (target_id,)
    ).fetchall()


def queued_events(connection: sqlite3.Connection, target_id: str) -> list[Queued]:
    """Return an inbox, oldest first, as events."""
    return [
        Queued(position, pb.HistoryEvent.FromString(event))
        for position, event in queue(connection, target_id)
    ]


def remove(tx: Transaction, positions: list[int]) -> None:
    """Take processed events out of the inbox."""
    tx.connection.executemany(
        "DELETE FROM inbox WHERE position = ?", [(position,) for position in positions]
    )


def drop_delayed(tx: Transaction, target_id: str) -> None:
    """Drop what is kept for a target until it is due."""
    tx.connection.execute("DELETE FROM delayed WHERE target_id = ?", (target_id,))


def has_any(connection: sqlite3.Connection, target_id: str) -> bool:
    """Whether anything is in an inbox."""
    row = connection.execute("SELECT 1 FROM inbox WHERE target_id = ? LIMIT 1", (target_id,))
    return row.fetchone() is not None


def is_queued(connection: sqlite3.Connection, position: int) -> bool:
    """Whether the event at a position is still unprocessed."""
    row = connection.execute("SELECT 1 FROM inbox WHERE position = ?", (position,))
    return row.fetchone() is not None


def all_targets(connection: sqlite3.Connection) -> list[str]:
    """Return every target with something in its inbox, the longest waiting first."""
    rows = connection.execute(
        "SELECT target_id FROM inbox GROUP BY target_id ORDER BY min(position)"
    )
    return [target_id for (target_id,) in rows]


def deliver_due(tx: Transaction, limit: int = 500) -> int | None:
    """Move what is due into the inboxes; return when the next one is due, or None."""
    rows = tx.connection.execute(
        "SELECT delayed_key, target_id, execution_id, event FROM delayed"
        " WHERE due_at <= ? ORDER BY due_at, delayed_key LIMIT ?",
        (tx.now, limit),
    ).fetchall()
    tx.connection.executemany(
        "DELETE FROM delayed WHERE delayed_key = ?", [row[:1] for row in rows]
    )
    if rows:
        faults.reach("delayed.half")
    for _, target_id, execution_id, event in rows:
        parsed = pb.HistoryEvent.FromString(event)
        if send(tx, Message(target_id, parsed, execution_id=execution_id)):
            tx.effects.note(
                target_id, "%s is due", _DUE.get(parsed.WhichOneof("eventType") or "", "a message")
            )
    return next_due(tx.connection)


def next_due(connection: sqlite3.Connection) -> int | None:
    """Return when the next delayed message is due."""
    (due_at,) = connection.execute("SELECT min(due_at) FROM delayed").fetchone()
    return due_at
