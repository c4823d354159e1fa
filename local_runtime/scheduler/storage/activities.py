"""Activities that are waiting or running: their results enter through the inbox."""

import sqlite3
from collections.abc import Iterator

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import Message, Task
from local_runtime.scheduler.engine.limits import bounded
from local_runtime.scheduler.storage import messages
from local_runtime.scheduler.storage.effects import ReadyTask
from local_runtime.scheduler.storage.transaction import Transaction

_COLUMNS = "task_key, instance_id, execution_id, task_id, request"


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


def all_ready(connection: sqlite3.Connection) -> Iterator[ReadyTask]:
    """Return every stored activity, in the order they were scheduled."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM tasks ORDER BY task_key")
    return map(_ready, rows)


def find(connection: sqlite3.Connection, task_key: int) -> ReadyTask | None:
    """Return a stored activity; None when it has its result, or is not wanted any more."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM tasks WHERE task_key = ?", (task_key,)
    ).fetchone()
    return None if row is None else _ready(row)


def _ready(row: tuple[int, str, str, int, bytes]) -> ReadyTask:
    parsed = pb.ActivityRequest.FromString(row[4])
    version = parsed.version.value if parsed.HasField("version") else None
    return ReadyTask(*row[:4], parsed.name, version, row[4])
