"""Activities that are waiting or running: their results enter through the inbox."""

import sqlite3
from collections.abc import Iterator
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import Message, Task
from local_runtime.scheduler.engine.limits import bounded
from local_runtime.scheduler.storage import checksums, messages
from local_runtime.scheduler.storage.damage import DamagedRow, is_whole, parsed
from local_runtime.scheduler.storage.effects import ReadyTask
from local_runtime.scheduler.storage.transaction import Transaction

_COLUMNS = "task_key, instance_id, execution_id, task_id, request, checksum"


def add(tx: Transaction, instance_id: str, execution_id: str, task: Task) -> None:
    """Store an activity to run."""
    key = tx.new_key()
    data = task.request.SerializeToString()
    row = key, instance_id, execution_id, task.task_id, data
    tx.connection.execute(
        "INSERT INTO tasks (task_key, instance_id, execution_id, task_id, request, checksum)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (*row, checksums.task(*row)),
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
    connection: sqlite3.Connection, damaged: list[DamagedRow] | None = None
) -> Iterator[ReadyTask]:
    """Return every stored activity, in the order they were scheduled.

    Those that are damaged are added to `damaged`; nobody can run them.
    """
    for row in connection.execute(f"SELECT {_COLUMNS} FROM tasks ORDER BY task_key"):
        try:
            yield _ready(row)
        except DamagedRow as damage:
            if damaged is not None:
                damaged.append(damage)


def find(connection: sqlite3.Connection, task_key: int) -> ReadyTask | None:
    """Return a stored activity; None when it has its result, or nobody can use that any more."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM tasks WHERE task_key = ?", (task_key,)
    ).fetchone()
    try:
        return None if row is None else _ready(row)
    except DamagedRow:
        return None


def _ready(row: tuple[Any, ...]) -> ReadyTask:
    *columns, stored = row
    key, instance_id, execution_id, task_id, data = columns
    what = checksums.check(stored, lambda: checksums.task(*columns))
    if what is None and not (is_whole(instance_id) and is_whole(execution_id)):
        what = "a text in it is no UTF-8"
    if what is not None:
        raise DamagedRow("tasks", key, instance_id, what)
    request = parsed(pb.ActivityRequest, data, "tasks", key, instance_id)
    version = request.version.value if request.HasField("version") else None
    return ReadyTask(key, instance_id, execution_id, task_id, request.name, version, data)
