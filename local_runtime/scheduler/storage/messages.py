"""The one door: every event for an instance or an entity enters through its inbox."""

import sqlite3
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime import faults
from local_runtime.scheduler.engine.decision import Message
from local_runtime.scheduler.engine.entity import Queued
from local_runtime.scheduler.storage import checksums
from local_runtime.scheduler.storage.damage import DamagedRow, is_whole, parsed
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


_NEVER = 2**62  # added to the time of a delayed message that is damaged


def is_entity(target_id: str) -> bool:
    """Whether an id names an entity and not an orchestration."""
    return target_id.startswith("@")


def put(tx: Transaction, target_id: str, event: pb.HistoryEvent) -> None:
    """Put an event into an inbox; the target will be handed to a worker."""
    position, data = tx.new_key(), event.SerializeToString()
    tx.connection.execute(
        "INSERT INTO inbox (position, target_id, event, checksum) VALUES (?, ?, ?, ?)",
        (position, target_id, data, checksums.inbox(checksums.owner(target_id), position, data)),
    )
    tx.effects.ready[target_id] = None


def delay(
    tx: Transaction, target_id: str, execution_id: str | None, event: pb.HistoryEvent, due_at: int
) -> None:
    """Keep an event until it is due."""
    row = tx.new_key(), due_at, target_id, execution_id, event.SerializeToString()
    tx.connection.execute(
        "INSERT INTO delayed (delayed_key, due_at, target_id, execution_id, event, checksum)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (*row, checksums.delayed(*row)),
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
    """Return an inbox, oldest first, as positions and serialized events.

    Raises:
        DamagedRow: one of them is not what was written.
    """
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT position, event, checksum FROM inbox WHERE target_id = ? ORDER BY position",
        (target_id,),
    ).fetchall()
    if not rows:
        return []
    owner = checksums.owner(target_id)
    for position, event, stored in rows:
        if not isinstance(event, bytes) or (
            stored is not None and stored != checksums.inbox(owner, position, event)
        ):
            raise DamagedRow("inbox", position, target_id, "its checksum is wrong")
    return [row[:2] for row in rows]


def queued_events(connection: sqlite3.Connection, target_id: str) -> list[Queued]:
    """Return an inbox, oldest first, as events.

    Raises:
        DamagedRow: one of them is not what was written.
    """
    return [
        Queued(position, parsed(pb.HistoryEvent, event, "inbox", position, target_id))
        for position, event in queue(connection, target_id)
    ]


def count(connection: sqlite3.Connection, target_id: str) -> int:
    """Return how many events are in an inbox, whatever their state."""
    (found,) = connection.execute(
        "SELECT count(*) FROM inbox WHERE target_id = ?", (target_id,)
    ).fetchone()
    return found


def drop_queued(tx: Transaction, target_id: str) -> None:
    """Drop an inbox, unread."""
    tx.connection.execute("DELETE FROM inbox WHERE target_id = ?", (target_id,))


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
    return [target_id for (target_id,) in rows if is_whole(target_id)]


def deliver_due(tx: Transaction, limit: int = 500) -> int | None:
    """Move what is due into the inboxes; return when the next one is due, or None."""
    rows = tx.connection.execute(
        "SELECT delayed_key, due_at, target_id, execution_id, event, checksum FROM delayed"
        " WHERE due_at <= ? ORDER BY due_at, delayed_key LIMIT ?",
        (tx.now, limit),
    ).fetchall()
    rows = [row for row in rows if not _is_set_aside(tx, row)]
    tx.connection.executemany(
        "DELETE FROM delayed WHERE delayed_key = ?", [row[:1] for row in rows]
    )
    if rows:
        faults.reach("delayed.half")
    for _, _, target_id, execution_id, data, _ in rows:
        event = pb.HistoryEvent.FromString(data)
        if send(tx, Message(target_id, event, execution_id=execution_id)):
            tx.effects.note(
                target_id, "%s is due", _DUE.get(event.WhichOneof("eventType") or "", "a message")
            )
    return next_due(tx.connection)


def _is_set_aside(tx: Transaction, row: tuple[Any, ...]) -> bool:
    """Keep a delayed message that is damaged, and move its time to beyond all times."""
    *columns, stored = row
    key, _, target_id, _, event = columns
    what = checksums.check(stored, lambda: checksums.delayed(*columns))
    try:
        if what is None:
            parsed(pb.HistoryEvent, event, "delayed", key, target_id)
            return False
        raise DamagedRow("delayed", key, target_id, what)
    except DamagedRow as damage:
        tx.effects.damaged.append(damage)
    tx.connection.execute(
        "UPDATE delayed SET due_at = max(due_at, 0) + ? WHERE delayed_key = ?", (_NEVER, key)
    )
    return True


def next_due(connection: sqlite3.Connection) -> int | None:
    """Return when the next delayed message is due."""
    (due_at,) = connection.execute(
        "SELECT min(due_at) FROM delayed WHERE due_at < ?", (_NEVER,)
    ).fetchone()
    return due_at
