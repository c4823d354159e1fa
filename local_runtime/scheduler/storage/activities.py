"""Activities that are waiting or running: their results enter through the inbox."""

import sqlite3
from collections.abc import Iterator

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.message import DecodeError

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import Message, Task
from local_runtime.scheduler.engine.limits import bounded
from local_runtime.scheduler.storage import messages
from local_runtime.scheduler.storage.effects import ReadyTask, SetAside
from local_runtime.scheduler.storage.set_aside import (
    ACTIVITY,
    Unreadable,
    as_far_as_readable,
    readable,
)
from local_runtime.scheduler.storage.transaction import Transaction

# Texts as bytes: to fetch one that is not UTF-8 would be an error of all rows.
_COLUMNS = "task_key, CAST(instance_id AS BLOB), CAST(execution_id AS BLOB), task_id, request"


def add(tx: Transaction, instance_id: str, execution_id: str, task: Task) -> None:
    """Store an activity to run."""
    key = tx.new_key()
    data = task.request.SerializeToString()
    tx.connection.execute(
        "INSERT INTO tasks (task_key, instance_id, execution_id, task_id, request)"
        " VALUES (?, ?, ?, ?, ?)",
        (key, instance_id, execution_id, task.task_id, data),
    )
    version = task.request.version.value if task.request.HasField("version") else None
    name = task.request.name
    tx.effects.tasks.append(
        ReadyTask(key, instance_id, execution_id, task.task_id, name, version, data)
    )
    tx.effects.note(instance_id, "%s scheduled (task %d)", name, task.task_id)


def complete(tx: Transaction, task: ReadyTask, response: pb.ActivityResponse) -> bool:
    """Record an activity's result; the presence of failure details alone makes it a failure.

    Returns:
        False when nobody waits for it: its instance has ended or begun a new generation.
    """
    deleted = tx.connection.execute("DELETE FROM tasks WHERE task_key = ?", (task.task_key,))
    if deleted.rowcount == 0:
        return False
    if response.HasField("failureDetails"):
        event = events.task_failed(tx.now, task.task_id, bounded(response.failureDetails))
        tx.effects.note(
            task.instance_id,
            "%s failed with %s (task %d)",
            task.name,
            response.failureDetails.errorType,
            task.task_id,
        )
    else:
        result = response.result if response.HasField("result") else None
        event = events.task_completed(tx.now, task.task_id, result)
        tx.effects.note(task.instance_id, "%s completed (task %d)", task.name, task.task_id)
    return messages.send(tx, Message(task.instance_id, event, execution_id=task.execution_id))


def all_ready(
    connection: sqlite3.Connection, unreadable: list[SetAside] | None = None
) -> Iterator[ReadyTask]:
    """Return every stored activity, in the order they were scheduled.

    Those that cannot be read are added to `unreadable`; nobody can run them.
    """
    for row in connection.execute(f"SELECT {_COLUMNS} FROM tasks ORDER BY task_key"):
        try:
            yield _ready(row)
        except Unreadable as error:
            if unreadable is not None:
                shown = as_far_as_readable(row[1])
                unreadable.append(SetAside(ACTIVITY, row[0], shown, str(error)))


def find(connection: sqlite3.Connection, task_key: int) -> ReadyTask | None:
    """Return a stored activity; None when it has its result, or nobody can use that any more."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM tasks WHERE task_key = ?", (task_key,)
    ).fetchone()
    try:
        return None if row is None else _ready(row)
    except Unreadable:
        return None


def _ready(row: tuple[int, bytes, bytes, int, bytes]) -> ReadyTask:
    key, instance, execution, task_id, request = row
    instance_id = readable(instance, "its instance")
    execution_id = readable(execution, "its generation")
    try:
        parsed = pb.ActivityRequest.FromString(request)
    except DecodeError as error:
        raise Unreadable("its bytes are not an activity's") from error
    version = parsed.version.value if parsed.HasField("version") else None
    return ReadyTask(key, instance_id, execution_id, task_id, parsed.name, version, request)
