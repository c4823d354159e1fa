"""Rows of the table `instances`: reading them, starting them, ending them."""

import sqlite3
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.message import DecodeError

from local_runtime import faults
from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import Generation, Message, Outcome, Start
from local_runtime.scheduler.engine.limits import InvalidValue, check_instance_id
from local_runtime.scheduler.engine.orchestration import first_execution, report_to_parent
from local_runtime.scheduler.engine.status import TERMINAL, Status
from local_runtime.scheduler.storage import checksums, history, locks, messages
from local_runtime.scheduler.storage.damage import DamagedRow, is_whole, parsed
from local_runtime.scheduler.storage.transaction import Transaction

_HEAD_END = 8  # so many columns are what an instance was started with; then how far it is
_COLUMNS = f"{checksums.HEAD}, {checksums.PROGRESS}"
_WITH_SUMS = f"{_COLUMNS}, checksum, progress_checksum"


class InstanceExists(Exception):
    """An instance of this id exists, in a state that may not be replaced."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What transactions need of a stored instance (payloads are read where they are shown)."""

    instance_id: str
    execution_id: str
    status: Status
    suspended: bool
    started: pb.ExecutionStartedEvent
    history_length: int
    custom_status: str | None
    trace: bytes | None  # OrchestrationTraceContext of its last turn

    @property
    def generation(self) -> Generation:
        """The engine's view of it."""
        return Generation(self.instance_id, self.execution_id, self.started)

    @property
    def has_begun(self) -> bool:
        """Whether a turn of this generation has been committed."""
        return self.history_length > 0


def find(connection: sqlite3.Connection, instance_id: str) -> Instance | None:
    """Return an instance, or None.

    Raises:
        DamagedRow: it is there, and not what was written.
    """
    row: tuple[Any, ...] | None = connection.execute(
        f"SELECT {_WITH_SUMS} FROM instances WHERE instance_id = ?", (instance_id,)
    ).fetchone()
    if row is None:
        return None
    what = fault(row[:-2], row[-2], row[-1])
    if what is not None or row[0] != instance_id:
        raise DamagedRow("instances", instance_id, instance_id, what or "its id is another one")
    started = parsed(pb.ExecutionStartedEvent, row[7], "instances", instance_id, instance_id)
    return Instance(
        instance_id, row[1], Status(row[8]), bool(row[9]), started, row[10], row[13], row[14]
    )


def find_again(connection: sqlite3.Connection, instance_id: str) -> Instance | None:
    """Return an instance whose turn comes back: that it is sound was seen when it was loaded."""
    row: tuple[Any, ...] | None = connection.execute(
        "SELECT execution_id, started, status, suspended, history_length, custom_status, trace"
        " FROM instances WHERE instance_id = ?",
        (instance_id,),
    ).fetchone()
    if row is None:
        return None
    execution_id, data, status, suspended, length, custom_status, trace = row
    try:
        started = pb.ExecutionStartedEvent.FromString(data)
    except (DecodeError, TypeError) as error:
        what = "its bytes are no ExecutionStartedEvent"
        raise DamagedRow("instances", instance_id, instance_id, what) from error
    return Instance(
        instance_id,
        execution_id,
        Status(status),
        bool(suspended),
        started,
        length,
        custom_status,
        trace,
    )


def fault(row: tuple[Any, ...], head: int | None, progress: int | None) -> str | None:
    """Return what is wrong with the columns HEAD and PROGRESS of an instance, or None."""
    wrong = checksums.check(head, lambda: checksums.head(*row[:_HEAD_END])) or checksums.check(
        progress, lambda: checksums.progress(row[0], *row[_HEAD_END:])
    )
    if wrong is not None:
        return wrong
    if head is not None and progress is not None:
        return None
    # What has no checksum must at least make sense.
    if row[_HEAD_END] not in _STATUSES:
        return "its status is none"
    texts = (row[0], row[1], row[2], row[3], row[6], row[13])
    if not all(text is None or (isinstance(text, str) and is_whole(text)) for text in texts):
        return "a text in it is no UTF-8"
    return None


_STATUSES = frozenset(status.value for status in Status)


def given_input(connection: sqlite3.Connection, instance_id: str) -> str | None:
    """Return what an instance was started with.

    Raises:
        DamagedRow: it is not what was written.
    """
    return _payload(connection, instance_id, "input")


def output(connection: sqlite3.Connection, instance_id: str) -> str | None:
    """Return what an instance ended with.

    Raises:
        DamagedRow: it is not what was written.
    """
    return _payload(connection, instance_id, "output")


def _payload(connection: sqlite3.Connection, instance_id: str, column: str) -> str | None:
    found, checksum = connection.execute(
        f"SELECT {column}, {column}_checksum FROM instances WHERE instance_id = ?", (instance_id,)
    ).fetchone()
    what = payload_fault(instance_id, found, checksum)
    if what is not None:
        raise DamagedRow("instances", instance_id, instance_id, f"of its {column} {what}")
    return found


def payload_fault(instance_id: str, text: str | None, checksum: int | None) -> str | None:
    """Return what is wrong with an input or an output, or None."""
    if checksum is not None:
        return checksums.check(checksum, lambda: checksums.payload(instance_id, text))
    return None if text is None or is_whole(text) else "the text is no UTF-8"


def seal(tx: Transaction, instance_id: str) -> None:
    """Give an instance that was found to be sound, and then changed, its checksums anew.

    Those of its input and output come with these, and are left as they are.
    """
    row = tx.connection.execute(
        f"SELECT {_COLUMNS} FROM instances WHERE instance_id = ?", (instance_id,)
    ).fetchone()
    tx.connection.execute(
        "UPDATE instances SET checksum = ?, progress_checksum = ? WHERE instance_id = ?",
        (
            checksums.head(*row[:_HEAD_END]),
            checksums.progress(row[0], *row[_HEAD_END:]),
            instance_id,
        ),
    )


def start(
    tx: Transaction, start: Start, replaceable: AbstractSet[Status], execution_id: str | None = None
) -> None:
    """Store a new instance and its first event.

    A start that comes again, with its id and execution id, is the same start: nothing changes,
    whatever has become of the instance.

    Raises:
        InstanceExists: one of this id is there, in a state not among `replaceable`.
        InvalidValue: the id cannot be an instance's.
    """
    check_instance_id(start.instance_id)
    existing = find(tx.connection, start.instance_id)
    if existing is not None:
        if execution_id and first_execution(existing.execution_id) == execution_id:
            return
        _clear_away(tx, existing, replaceable)
    execution_id = execution_id or tx.new_id()
    started = _with_identity(start, execution_id)
    given = started.input.value if started.HasField("input") else None
    delayed = start.due_at is not None and start.due_at > tx.now
    if delayed and start.due_at is not None:
        started.scheduledStartTimestamp.CopyFrom(events.timestamp(start.due_at))
    event = events.execution_started(tx.now, started)
    kept = pb.ExecutionStartedEvent()
    kept.CopyFrom(started)
    kept.ClearField("input")
    parent = started.parentInstance if started.HasField("parentInstance") else None
    head = (
        start.instance_id,
        execution_id,
        started.name,
        started.version.value if started.HasField("version") else None,
        tx.now,
        start.due_at,
        parent.orchestrationInstance.instanceId if parent is not None else None,
        kept.SerializeToString(),
    )
    progress = Status.PENDING.value, 0, 0, tx.now, None, None, None, None
    tx.connection.execute(
        f"INSERT INTO instances ({_COLUMNS}, input, checksum, progress_checksum, input_checksum,"
        " output_checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *head,
            *progress,
            given,
            checksums.head(*head),
            checksums.progress(start.instance_id, *progress),
            checksums.payload(start.instance_id, given),
            checksums.payload(start.instance_id, None),
        ),
    )
    if delayed and start.due_at is not None:
        messages.delay(tx, start.instance_id, execution_id, event, start.due_at)
    else:
        messages.put(tx, start.instance_id, event)
    tx.effects.note(start.instance_id, "%s accepted", started.name)


def _clear_away(tx: Transaction, existing: Instance, replaceable: AbstractSet[Status]) -> None:
    if existing.status not in replaceable:
        raise InstanceExists(
            f"an orchestration instance with the id '{existing.instance_id}' "
            f"already exists and is {existing.status.capitalize()}"
        )
    if not existing.status.is_terminal:
        end(tx, existing, Outcome(Status.TERMINATED, None, None))
    delete(tx, existing.instance_id)


def start_child(tx: Transaction, parent: pb.OrchestrationInstance, child: Start) -> None:
    """Store a new sub-orchestration; one that cannot be fails the parent's task."""
    try:
        start(tx, child, TERMINAL)
    except InstanceExists as error:
        kind, text = "OrchestrationAlreadyExists", str(error)
    except InvalidValue as error:
        kind, text = "InvalidInstanceId", str(error)
    else:
        return
    if child.task_id is None:
        return
    failure = pb.TaskFailureDetails(errorType=kind, errorMessage=text, isNonRetriable=True)
    failed = events.child_failed(tx.now, child.task_id, failure)
    # A generation that has continued as new meanwhile has a task of that number of its own.
    execution_id = parent.executionId.value
    messages.send(tx, Message(parent.instanceId, failed, execution_id=execution_id))


def _with_identity(start: Start, execution_id: str) -> pb.ExecutionStartedEvent:
    started = pb.ExecutionStartedEvent()
    started.CopyFrom(start.started)
    started.orchestrationInstance.instanceId = start.instance_id
    started.orchestrationInstance.executionId.value = execution_id
    return started


def end(tx: Transaction, instance: Instance, outcome: Outcome) -> None:
    """Store how an instance, as it is stored, ended: nothing stays queued, its parent is told."""
    status = outcome.status.value
    failure = outcome.failure.SerializeToString() if outcome.failure is not None else None
    tx.connection.execute(
        "UPDATE instances SET status = ?, suspended = 0, output = ?, output_checksum = ?,"
        " failure = ?, updated_at = ?, completed_at = ?, progress_checksum = ?"
        " WHERE instance_id = ?",
        (
            status,
            outcome.output,
            checksums.payload(instance.instance_id, outcome.output),
            failure,
            tx.now,
            tx.now,
            checksums.progress(
                instance.instance_id,
                status,
                0,
                instance.history_length,
                tx.now,
                tx.now,
                instance.custom_status,
                instance.trace,
                failure,
            ),
            instance.instance_id,
        ),
    )
    drop_outstanding(tx, instance.instance_id)
    faults.reach("end.half")
    locks.release_all(tx, instance.instance_id)
    if instance.started.HasField("parentInstance"):
        report = report_to_parent(
            instance.started.parentInstance, instance.instance_id, outcome, tx.now
        )
        messages.send(tx, report)
    tx.effects.changed[instance.instance_id] = None
    if outcome.failure is not None:
        tx.effects.note(
            instance.instance_id,
            "%s failed with %s",
            instance.started.name,
            outcome.failure.errorType,
        )
    else:
        tx.effects.note(
            instance.instance_id, "%s %s", instance.started.name, outcome.status.value.lower()
        )


def drop_outstanding(tx: Transaction, instance_id: str) -> None:
    """Drop everything queued for an instance: inbox, delayed messages, activities."""
    messages.drop_delayed(tx, instance_id)
    for statement in (
        "DELETE FROM inbox WHERE target_id = ?",
        "DELETE FROM tasks WHERE instance_id = ?",
    ):
        tx.connection.execute(statement, (instance_id,))
    tx.effects.cancelled[instance_id] = None


def delete(tx: Transaction, instance_id: str) -> None:
    """Delete a finished instance and its history."""
    history.clear(tx, instance_id)
    faults.reach("delete.half")
    drop_outstanding(tx, instance_id)
    tx.connection.execute("DELETE FROM instances WHERE instance_id = ?", (instance_id,))
    tx.effects.changed[instance_id] = None


def children(connection: sqlite3.Connection, instance_id: str) -> list[str]:
    """Return the ids of an instance's sub-orchestrations."""
    rows = connection.execute(
        "SELECT instance_id FROM instances WHERE parent_id = ?", (instance_id,)
    )
    return [child_id for (child_id,) in rows if is_whole(child_id)]
