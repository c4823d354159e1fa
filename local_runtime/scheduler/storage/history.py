"""The table `history`: one row per turn, dense and append-only within a generation."""

import sqlite3

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.storage import wire
from local_runtime.scheduler.storage.transaction import Transaction


def append(tx: Transaction, instance_id: str, length: int, new_events: list[bytes]) -> int:
    """Append serialized events behind the `length` that are there; return the new length."""
    tx.connection.execute(
        "INSERT INTO history (instance_id, first_event, event_count, events) VALUES (?, ?, ?, ?)",
        (instance_id, length, len(new_events), wire.frames(wire.PAST_EVENTS, new_events)),
    )
    return length + len(new_events)


def reopen(tx: Transaction, instance_id: str, length: int) -> int:
    """Take the end off a history that has one; return the new length."""
    row = tx.connection.execute(
        "SELECT first_event, events FROM history WHERE instance_id = ?"
        " ORDER BY first_event DESC LIMIT 1",
        (instance_id,),
    ).fetchone()
    if row is None:
        return length
    turn = pb.OrchestratorRequest.FromString(row[1])
    if not turn.pastEvents[-1].HasField("executionCompleted"):
        return length
    del turn.pastEvents[-1]
    tx.connection.execute(
        "UPDATE history SET event_count = ?, events = ? WHERE instance_id = ? AND first_event = ?",
        (len(turn.pastEvents), turn.SerializeToString(), instance_id, row[0]),
    )
    return length - 1


def read(connection: sqlite3.Connection, instance_id: str) -> bytes:
    """Return a whole history as the bytes of an OrchestratorRequest's pastEvents."""
    rows = connection.execute(
        "SELECT events FROM history WHERE instance_id = ? ORDER BY first_event", (instance_id,)
    )
    return b"".join([events for (events,) in rows])


def read_turns(connection: sqlite3.Connection, instance_id: str) -> list[list[pb.HistoryEvent]]:
    """Return a whole history as events, one list per committed turn."""
    rows = connection.execute(
        "SELECT events FROM history WHERE instance_id = ? ORDER BY first_event", (instance_id,)
    )
    return [wire.past_events(events) for (events,) in rows]


def clear(tx: Transaction, instance_id: str) -> None:
    """Forget a history: its generation is over, or its instance is deleted."""
    tx.connection.execute("DELETE FROM history WHERE instance_id = ?", (instance_id,))
