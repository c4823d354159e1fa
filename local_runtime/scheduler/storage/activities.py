"""Activities that are waiting or running: their results enter through the inbox."""

import contextlib
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


def all_ready(connection: sqlite3.Connection) -> Iterator[ReadyTask]:
    """Return every stored activity, in the order they were scheduled.

    Nobody can run those that are damaged: they are left out.
    """
    rows = connection.execute(
        "SELECT task_key, instance_id, execution_id, task_id, request, checksum FROM tasks"
        " ORDER BY task_key"
    )
    for *row, stored in rows:
        with contextlib.suppress(DamagedRow):
            yield _ready(row, stored)


def _ready(row: list[Any], stored: int | None) -> ReadyTask:
    key, instance_id, execution_id, task_id, data = row
    what = checksums.check(stored, lambda: checksums.task(*row))
    if what is not None or not is_whole(instance_id):
        raise DamagedRow("tasks", key, instance_id, what or "its instance's id is no UTF-8")
    request = parsed(pb.ActivityRequest, data, "tasks", key, instance_id)
    version = request.version.value if request.HasField("version") else None
    return ReadyTask(key, instance_id, execution_id, task_id, request.name, version, data)
