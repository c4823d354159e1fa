"""The one door: every event for an instance or an entity enters through its inbox."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime import faults
from local_runtime.scheduler.engine.decision import Message
from local_runtime.scheduler.engine.entity import Queued
from local_runtime.scheduler.storage import checksums, set_aside
from local_runtime.scheduler.storage.damage import DamagedRow, is_whole, parsed
from local_runtime.scheduler.storage.set_aside import DelayedRow
from local_runtime.scheduler.storage.transaction import Transaction

_LATEST = 253_402_300_799_000_000  # the last second of the year 9999, in microseconds

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
            "SELECT 1 FROM instances WHERE instance_id = ? AND completed_at IS NULL"
            " AND ifnull(?, execution_id) = execution_id",
            (message.target_id, message.execution_id),
        ).fetchone()
        if row is None:
            return False
    put(tx, message.target_id, message.event)
    return True


def queue(
    connection: sqlite3.Connection, target_id: str, *, is_sound: bool = False
) -> list[tuple[int, bytes]]:
    """Return an inbox, oldest first, as positions and serialized events.

    One that is known to be sound is not verified.

    Raises:
        DamagedRow: one of them is not what was written.
    """
    if is_sound:
        return connection.execute(
            "SELECT position, event FROM inbox WHERE target_id = ? ORDER BY position", (target_id,)
        ).fetchall()
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


def all_targets(
    connection: sqlite3.Connection, damaged: list[DamagedRow] | None = None
) -> list[str]:
    """Return every target with something in its inbox, the longest waiting first.

    Those whose id cannot be read are added to `damaged`, and are nobody's.
    """
    rows = connection.execute(
        "SELECT min(position), target_id FROM inbox GROUP BY target_id ORDER BY min(position)"
    ).fetchall()
    if damaged is not None:
        damaged += [
            DamagedRow("inbox", position, target_id, "its target is no UTF-8")
            for position, target_id in rows
            if not is_whole(target_id)
        ]
    return [target_id for _, target_id in rows if is_whole(target_id)]


def deliver_due(tx: Transaction, limit: int = 500) -> int | None:
    """Move what is due into the inboxes; return when the next one is due, or None.

    A message that cannot be read is set aside; it holds up no other one.
    """
    rows: list[DelayedRow] = tx.connection.execute(
        f"SELECT {set_aside.DELAYED_COLUMNS} FROM delayed"
        " WHERE due_at <= ? ORDER BY due_at, delayed_key LIMIT ?",
        (tx.now, limit),
    ).fetchall()
    for row, error in tx.for_all(rows, lambda some: _deliver(tx, some)):
        set_aside.set_delayed_aside(tx, row, error)
    return next_due(tx.connection)


def _deliver(tx: Transaction, rows: Sequence[DelayedRow]) -> None:
    tx.connection.executemany(
        "DELETE FROM delayed WHERE delayed_key = ?", [row[:1] for row in rows]
    )
    faults.reach("delayed.half")
    for row in rows:
        message = set_aside.delayed_message(row)
        if send(tx, message):
            kind = message.event.WhichOneof("eventType") or ""
            tx.effects.note(message.target_id, "%s is due", _DUE.get(kind, "a message"))


def next_due(connection: sqlite3.Connection) -> int | None:
    """Return when the next delayed message is due, as a time that can be; or None."""
    (due_at,) = connection.execute(
        "SELECT min(due_at) FROM delayed WHERE due_at < ?", (set_aside.NEVER,)
    ).fetchone()
    return None if due_at is None else max(0, min(due_at, _LATEST))
