"""Rows that cannot be read, as they are listed; and delayed messages, which are set aside.

A delayed message says that it is set aside by its time, which is moved to beyond all times; so that
holds over a restart, and needs no look at the row. Other damaged rows are found at each start.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine.decision import Message
from local_runtime.scheduler.engine.limits import InvalidValue, check_instance_id, entity_id
from local_runtime.scheduler.storage import checksums
from local_runtime.scheduler.storage.damage import DamagedRow, is_whole, parsed, readable
from local_runtime.scheduler.storage.transaction import Transaction

NEVER = 2**62
"""Added to the time of a delayed message that is set aside; far beyond the year 9999."""

type DelayedRow = tuple[int, int, str, str | None, bytes, int | None]
"""A row of `delayed`: what it holds, and its checksum."""

DELAYED_COLUMNS = "delayed_key, due_at, target_id, execution_id, event, checksum"

_DELAYED = "delayed"
_WORDS = {
    _DELAYED: "delayed message",
    "tasks": "activity",
    "inbox": "queued event",
    "entities": "entity",
    "critical_sections": "critical section",
}
_KEYS = {"tasks": "task_key", "inbox": "position", _DELAYED: "delayed_key"}


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row that cannot be read, as it is listed; it is kept, and not looked at again."""

    what: str  # like `delayed message`
    key: int | str
    target_id: str  # whom it is for, as far as that can be read
    why: str
    due_at: int | None = None


def delayed_message(row: DelayedRow) -> Message:
    """Read a delayed message.

    Raises:
        DamagedRow: it makes no sense, or is not what was written.
    """
    key, due_at, target_id, execution_id, data, stored = row
    wrong = checksums.check(
        stored, lambda: checksums.delayed(key, due_at, target_id, execution_id, data)
    )
    wrong = wrong or _wrong(target_id, execution_id)
    if wrong is not None:
        raise DamagedRow(_DELAYED, key, target_id, wrong)
    event = parsed(pb.HistoryEvent, data, _DELAYED, key, target_id)
    if event.WhichOneof("eventType") is None:
        raise DamagedRow(_DELAYED, key, target_id, "its event is of no kind")
    return Message(target_id, event, execution_id=execution_id)


def _wrong(target_id: str, execution_id: str | None) -> str | None:
    if not is_whole(target_id) or not is_whole(execution_id or ""):
        return "a text in it is no UTF-8"
    try:
        if target_id.startswith("@"):
            entity_id(target_id)
        else:
            check_instance_id(target_id)
    except InvalidValue as error:
        return str(error)
    return None


def set_delayed_aside(tx: Transaction, row: DelayedRow, error: Exception) -> None:
    """Keep a delayed message, and deliver it no more."""
    key, due_at, target_id, _, _, _ = row
    # Without its checksum, which would be that of another time, it is listed as set aside only.
    tx.connection.execute(
        "UPDATE delayed SET due_at = ?, checksum = NULL WHERE delayed_key = ?",
        (max(due_at, 0) + NEVER, key),
    )
    if not isinstance(error, DamagedRow):
        error = DamagedRow(_DELAYED, key, target_id, f"{type(error).__name__}: {error}")
    tx.effects.damaged.append(error)


def delayed(connection: sqlite3.Connection, limit: int) -> list[tuple[DamagedRow, int]]:
    """Return delayed messages that are set aside, with when each was due, the earliest first."""
    rows: Iterable[DelayedRow] = connection.execute(
        f"SELECT {DELAYED_COLUMNS} FROM delayed WHERE due_at >= ? ORDER BY due_at LIMIT ?",
        (NEVER, limit),
    )
    return [_told(row) for row in rows]


def _told(row: DelayedRow) -> tuple[DamagedRow, int]:
    damage = DamagedRow(_DELAYED, row[0], row[2], "it could not be delivered")
    try:
        delayed_message(row)
    except DamagedRow as found:
        damage = found
    return damage, row[1] - NEVER


def listed(damage: DamagedRow, due_at: int | None = None) -> SetAside:
    """Return a damaged row as it is listed."""
    key = damage.key if isinstance(damage.key, int) else readable(str(damage.key))
    what = _WORDS.get(damage.table, f"row of {damage.table}")
    return SetAside(what, key, readable(damage.owner), damage.what, due_at)


def is_still_there(connection: sqlite3.Connection, damage: DamagedRow) -> bool:
    """Whether a damaged row that was found has not been deleted, as far as its key tells."""
    column = _KEYS.get(damage.table)
    if column is None:
        return True
    found = connection.execute(
        f"SELECT 1 FROM {damage.table} WHERE {column} = ?", (damage.key,)
    ).fetchone()
    return found is not None
