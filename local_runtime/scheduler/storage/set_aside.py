"""Rows that cannot be read: they are named, kept for whoever can mend them, and stop nobody else.

A delayed message says that it is set aside by its time, which is moved to beyond all times; so that
holds over a restart, and needs no look at the row. Other rows are found when a hub is opened.
"""

import sqlite3

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.message import DecodeError

from local_runtime.scheduler.engine.decision import Message
from local_runtime.scheduler.engine.limits import InvalidValue, check_instance_id, entity_id
from local_runtime.scheduler.storage.effects import SetAside
from local_runtime.scheduler.storage.transaction import Transaction

NEVER = 2**62
"""Added to the time of a delayed message that is set aside; far beyond the year 9999."""
DELAYED, ACTIVITY, INBOX = "delayed message", "activity", "queued event"

type DelayedRow = tuple[int, int, bytes, bytes | None, bytes]
"""A row of `delayed`: its key, its time, and then what may be unreadable, as bytes."""

DELAYED_COLUMNS = "delayed_key, due_at, CAST(target_id AS BLOB), CAST(execution_id AS BLOB), event"


class Unreadable(Exception):
    """A row makes no sense; the message says why."""


def delayed_message(row: DelayedRow) -> Message:
    """Read a delayed message.

    Raises:
        Unreadable: it makes no sense.
    """
    _, _, target, execution, data = row
    target_id = readable(target, "its target")
    try:
        _check_target(target_id)
    except InvalidValue as error:
        raise Unreadable(str(error)) from error
    event = event_of(data)
    return Message(
        target_id,
        event,
        execution_id=None if execution is None else readable(execution, "its generation"),
    )


def event_of(data: bytes) -> pb.HistoryEvent:
    """Read a stored event.

    Raises:
        Unreadable: it is none, or one of no kind.
    """
    try:
        event = pb.HistoryEvent.FromString(data)
    except DecodeError as error:
        raise Unreadable("its bytes are not an event") from error
    if event.WhichOneof("eventType") is None:
        raise Unreadable("its event is of no kind")
    return event


def readable(text: bytes, what: str) -> str:
    """Return a stored text.

    Raises:
        Unreadable: it is not UTF-8.
    """
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"{what} is not UTF-8") from error


def as_far_as_readable(text: bytes) -> str:
    """Return a stored text; what is not UTF-8 in it is written out."""
    return text.decode(errors="backslashreplace")


def set_delayed_aside(tx: Transaction, row: DelayedRow, error: Exception) -> None:
    """Keep a delayed message, and deliver it no more."""
    key, due_at, target, _, _ = row
    tx.connection.execute(
        "UPDATE delayed SET due_at = ? WHERE delayed_key = ?", (max(due_at, 0) + NEVER, key)
    )
    tx.effects.set_aside.append(
        SetAside(DELAYED, key, as_far_as_readable(target), _reason(error), due_at)
    )


def delayed(connection: sqlite3.Connection, limit: int) -> list[SetAside]:
    """Return the delayed messages that are set aside, the earliest first."""
    rows = connection.execute(
        f"SELECT {DELAYED_COLUMNS} FROM delayed WHERE due_at >= ? ORDER BY due_at LIMIT ?",
        (NEVER, limit),
    )
    return [_told(row) for row in rows]


def _told(row: DelayedRow) -> SetAside:
    key, due_at, target, _, _ = row
    why = "it could not be delivered"
    try:
        delayed_message(row)
    except Unreadable as error:
        why = str(error)
    return SetAside(DELAYED, key, as_far_as_readable(target), why, due_at - NEVER)


def is_still_there(connection: sqlite3.Connection, row: SetAside) -> bool:
    """Whether a row that was found unreadable when the hub was opened has not been deleted."""
    table = "tasks WHERE task_key = ?" if row.what == ACTIVITY else "inbox WHERE position = ?"
    return connection.execute(f"SELECT 1 FROM {table}", (row.key,)).fetchone() is not None


def _check_target(target_id: str) -> None:
    if target_id.startswith("@"):
        entity_id(target_id)
    else:
        check_instance_id(target_id)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, Unreadable) else f"{type(error).__name__}: {error}"
