"""The table `history`: one row per turn, dense and append-only within a generation."""

import sqlite3
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.storage import checksums, wire
from local_runtime.scheduler.storage.damage import DamagedRow, parsed
from local_runtime.scheduler.storage.transaction import Transaction

_COLUMNS = "first_event, event_count, events, checksum"


def append(tx: Transaction, instance_id: str, length: int, new_events: list[bytes]) -> int:
    """Append serialized events behind the `length` that are there; return the new length."""
    count, events = len(new_events), wire.frames(wire.PAST_EVENTS, new_events)
    checksum = checksums.turn(checksums.owner(instance_id), length, count, events)
    tx.connection.execute(
        "INSERT INTO history (instance_id, first_event, event_count, events, checksum)"
        " VALUES (?, ?, ?, ?, ?)",
        (instance_id, length, count, events, checksum),
    )
    return length + count


def reopen(tx: Transaction, instance_id: str, length: int) -> int:
    """Take the end off a history that has one; return the new length.

    Raises:
        DamagedRow: its last turn is not what was written.
    """
    row: tuple[Any, ...] | None = tx.connection.execute(
        f"SELECT {_COLUMNS} FROM history WHERE instance_id = ? ORDER BY first_event DESC LIMIT 1",
        (instance_id,),
    ).fetchone()
    if row is None:
        return length
    owner = checksums.owner(instance_id)
    _check(instance_id, owner, row)
    turn = parsed(pb.OrchestratorRequest, row[2], "history", row[0], instance_id)
    if not turn.pastEvents[-1].HasField("executionCompleted"):
        return length
    del turn.pastEvents[-1]
    count, events = len(turn.pastEvents), turn.SerializeToString()
    tx.connection.execute(
        "UPDATE history SET event_count = ?, events = ?, checksum = ?"
        " WHERE instance_id = ? AND first_event = ?",
        (count, events, checksums.turn(owner, row[0], count, events), instance_id, row[0]),
    )
    return length - 1


def read(
    connection: sqlite3.Connection,
    instance_id: str,
    length: int | None = None,
    *,
    is_sound: bool = False,
) -> bytes:
    """Return a whole history as the bytes of an OrchestratorRequest's pastEvents.

    One that is known to be sound is not verified.

    Raises:
        DamagedRow: a turn is not what was written, or some of its `length` events are missing.
    """
    if is_sound:
        rows = connection.execute(
            "SELECT events FROM history WHERE instance_id = ? ORDER BY first_event", (instance_id,)
        )
        return b"".join([events for (events,) in rows])
    return b"".join([row[2] for row in _rows(connection, instance_id, length)])


def read_turns(connection: sqlite3.Connection, instance_id: str) -> list[list[pb.HistoryEvent]]:
    """Return a whole history as events, one list per committed turn.

    Raises:
        DamagedRow: a turn is not what was written, or one is missing.
    """
    alone = not connection.in_transaction
    if alone:
        connection.execute("BEGIN")  # one view of both: a turn may be committed meanwhile
    try:
        counted: tuple[int] | None = connection.execute(
            "SELECT history_length FROM instances WHERE instance_id = ?", (instance_id,)
        ).fetchone()
        rows = _rows(connection, instance_id, counted[0] if counted is not None else None)
    finally:
        if alone:
            connection.execute("COMMIT")
    return [
        list(parsed(pb.OrchestratorRequest, row[2], "history", row[0], instance_id).pastEvents)
        for row in rows
    ]


def _rows(
    connection: sqlite3.Connection, instance_id: str, length: int | None
) -> list[tuple[Any, ...]]:
    """Return all turns, each of which is what was written, and none is missing."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM history WHERE instance_id = ? ORDER BY first_event", (instance_id,)
    ).fetchall()
    owner = checksums.owner(instance_id)
    expected = 0
    for row in rows:
        _check(instance_id, owner, row)
        if row[0] != expected:
            break
        expected += row[1]
    else:
        if length is None or length == expected:
            return rows
    raise DamagedRow("history", expected, instance_id, "the turn that begins there is missing")


def _check(instance_id: str, owner: int, row: tuple[Any, ...]) -> None:
    first, count, events, stored = row
    try:
        if stored is None or stored == checksums.turn(owner, first, count, events):
            return
    except TypeError:
        pass  # a value of another type than was written
    raise DamagedRow("history", first, instance_id, "its checksum is wrong")


def clear(tx: Transaction, instance_id: str) -> None:
    """Forget a history: its generation is over, or its instance is deleted."""
    tx.connection.execute("DELETE FROM history WHERE instance_id = ?", (instance_id,))
