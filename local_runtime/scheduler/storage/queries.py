"""What clients read. Each function runs on a connection that only reads."""

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.status import Status
from local_runtime.scheduler.storage import checksums, entities, instances, locks, messages
from local_runtime.scheduler.storage.damage import (
    ERROR_TYPE,
    DamagedRow,
    is_whole,
    original,
    parsed,
    readable,
)

_COLUMNS = f"{checksums.HEAD}, {checksums.PROGRESS}, checksum, progress_checksum"
_PAYLOADS = ", input, input_checksum, output, output_checksum"

type Key = tuple[int, str | bytes]
"""What a list is in the order of: a time, and an id; bytes where the id is damaged."""


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Which instances to list; times in microseconds, from inclusive, to exclusive."""

    statuses: list[Status] = field(default_factory=list[Status])
    created_from: int | None = None
    created_to: int | None = None
    id_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Damaged:
    """Instances that are known to be damaged."""

    rows: list[str] = field(default_factory=list[str])
    """Those whose own row is: they are shown as failed."""
    parked: list[str] = field(default_factory=list[str])
    """These, and those of which something else is: they are, too, unless they have finished."""


def instance(
    connection: sqlite3.Connection, instance_id: str, *, payloads: bool
) -> pb.OrchestrationState | None:
    """Return the state of one instance, with input and output if asked.

    One whose row is damaged is shown as failed, with what can be read of it.
    """
    row = connection.execute(
        f"SELECT {_columns(payloads)} FROM instances WHERE instance_id = ?", (instance_id,)
    ).fetchone()
    return _state(row, instance_id) if row is not None else None


def is_terminal(connection: sqlite3.Connection, instance_id: str) -> bool:
    """Whether an instance exists and is finished."""
    row = connection.execute(
        "SELECT completed_at IS NOT NULL FROM instances WHERE instance_id = ?", (instance_id,)
    ).fetchone()
    return row is not None and bool(row[0])


def list_instances(
    connection: sqlite3.Connection,
    wanted: InstanceFilter,
    after: Key | None,
    limit: int,
    *,
    payloads: bool,
    damaged: Damaged = Damaged(),
) -> list[tuple[Key, pb.OrchestrationState]]:
    """Return instances, the newest first, from behind `after` (creation time and id).

    Those whose row is damaged are shown as failed; to the filter, all are that are known to be so.
    """
    conditions: list[str] = []
    values: list[object] = []

    def where(condition: str, *bound: object) -> None:
        conditions.append(condition)
        values.extend(bound)

    if wanted.statuses:
        marks = ", ".join("?" * len(wanted.statuses))
        names = [status.value for status in wanted.statuses]
        if damaged.parked:
            where(
                f"CASE WHEN {_AMONG} OR (completed_at IS NULL AND {_AMONG}) THEN ?"
                f" ELSE status IN ({marks}) END",
                json.dumps(damaged.rows),
                json.dumps(damaged.parked),
                Status.FAILED in wanted.statuses,
                *names,
            )
        else:
            where(f"status IN ({marks})", *names)
    if wanted.created_from is not None:
        where("created_at >= ?", wanted.created_from)
    if wanted.created_to is not None:
        where("created_at < ?", wanted.created_to)
    if wanted.id_prefix:
        where("substr(instance_id, 1, ?) = ?", len(wanted.id_prefix), wanted.id_prefix)
    if after is not None:
        behind = "(created_at < ? OR (created_at = ? AND instance_id > CAST(? AS TEXT)))"
        where(behind, after[0], *after)
    clause = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = connection.execute(
        f"SELECT {_columns(payloads)} FROM instances {clause}"
        " ORDER BY created_at DESC, instance_id LIMIT ?",
        (*values, limit),
    )
    return [(_key(row[4], row[0]), _state(row)) for row in rows]


def finished_ids(
    connection: sqlite3.Connection,
    statuses: list[Status],
    completed: tuple[int | None, int | None],
    after: Key | None,
    limit: int,
) -> list[Key]:
    """Return (time of completion, id) of finished instances, the earliest first."""
    conditions = ["completed_at IS NOT NULL"]
    values: list[object] = []
    if statuses:
        conditions.append(f"status IN ({', '.join('?' * len(statuses))})")
        values += [status.value for status in statuses]
    if completed[0] is not None:
        conditions.append("completed_at >= ?")
        values.append(completed[0])
    if completed[1] is not None:
        conditions.append("completed_at < ?")
        values.append(completed[1])
    if after is not None:
        conditions.append("(completed_at, instance_id) > (?, CAST(? AS TEXT))")
        values += after
    rows = connection.execute(
        f"SELECT completed_at, instance_id FROM instances WHERE {' AND '.join(conditions)}"
        " ORDER BY completed_at, instance_id LIMIT ?",
        (*values, limit),
    )
    return [_key(*row) for row in rows]


def entity(
    connection: sqlite3.Connection, entity_id: str, *, include_state: bool
) -> pb.EntityMetadata | None:
    """Return an entity, or None for one without a state.

    Raises:
        DamagedRow: it is not what was written.
    """
    stored = entities.find(connection, entity_id)
    if stored.state is None or stored.modified_at is None:
        return None
    return pb.EntityMetadata(
        instanceId=entity_id,
        lastModifiedTime=events.timestamp(stored.modified_at),
        backlogQueueSize=messages.count(connection, entity_id),
        lockedBy=events.text(stored.lock.holder_id if stored.lock is not None else None),
        serializedState=events.text(stored.state) if include_state else None,
    )


@dataclass(frozen=True, slots=True)
class EntityFilter:
    """Which entities to list; times in microseconds, from inclusive, to exclusive."""

    id_prefix: str = ""
    modified_from: int | None = None
    modified_to: int | None = None
    transient: bool = False


def list_entities(
    connection: sqlite3.Connection,
    wanted: EntityFilter,
    after: str | bytes,
    limit: int,
    *,
    include_state: bool,
) -> list[tuple[str | bytes, pb.EntityMetadata]]:
    """Return entities by id, from behind `after`; those without a state only if asked for.

    The state of one that is damaged tells of the damage.
    """
    conditions = ["entity_id > CAST(? AS TEXT)", "substr(entity_id, 1, ?) = ?"]
    values: list[object] = [after, len(wanted.id_prefix), wanted.id_prefix]
    if not wanted.transient:
        conditions.append("state IS NOT NULL")
    if wanted.modified_from is not None:
        conditions.append("modified_at >= ?")
        values.append(wanted.modified_from)
    if wanted.modified_to is not None:
        conditions.append("modified_at < ?")
        values.append(wanted.modified_to)
    rows = connection.execute(
        f"SELECT {locks.COLUMNS}, checksum,"
        " (SELECT count(*) FROM inbox WHERE target_id = entity_id)"
        f" FROM entities WHERE {' AND '.join(conditions)} ORDER BY entity_id LIMIT ?",
        (*values, limit),
    )
    return [(_id(row[0]), _entity(row[:-1], row[-1], include_state=include_state)) for row in rows]


def _entity(row: tuple[Any, ...], backlog: int, *, include_state: bool) -> pb.EntityMetadata:
    entity_id, state, holder_id, _, modified_at, _ = row
    what = locks.fault(row)
    if what is not None:
        entity_id, holder_id = readable(str(entity_id)), None
        state = json.dumps({"errorType": ERROR_TYPE, "errorMessage": _damage(entity_id, what)})
        modified_at = _time(modified_at)
    return pb.EntityMetadata(
        instanceId=entity_id,
        lastModifiedTime=events.timestamp(modified_at),
        backlogQueueSize=backlog,
        lockedBy=events.text(holder_id),
        serializedState=events.text(state) if include_state else None,
    )


_AMONG = "instance_id IN (SELECT value FROM json_each(?))"
_LATEST = 253_402_300_799_000_000  # the last second of the year 9999, in microseconds


def _key(at: Any, instance_id: Any) -> Key:
    return max(at, 0) if isinstance(at, int) else 0, _id(instance_id)


def _id(text: Any) -> str | bytes:
    """Return an id as the text that it is, or its bytes."""
    text = str(text)
    return text if is_whole(text) else original(text)


def _columns(payloads: bool) -> str:
    return _COLUMNS + (_PAYLOADS if payloads else ", NULL, NULL, NULL, NULL")


def _state(row: tuple[Any, ...], asked: str | None = None) -> pb.OrchestrationState:
    """Return the state that a row tells of, which was looked for by the id `asked` if by any."""
    *columns, head, progress, given, given_sum, output, output_sum = row
    what = (
        instances.fault(tuple(columns), head, progress)
        or instances.payload_fault(row[0], given, given_sum)
        or instances.payload_fault(row[0], output, output_sum)
    )
    if what is None and asked not in (None, row[0]):
        what = "its id is another one"
    if what is None:
        try:
            return _sound_state(tuple(columns), given, output)
        except (DamagedRow, TypeError, ValueError):
            what = "its values make no sense"  # where no checksum tells that
    return damaged_state(asked or str(row[0]), what, tuple(columns))


def _sound_state(
    row: tuple[Any, ...], given: str | None, output: str | None
) -> pb.OrchestrationState:
    instance_id, execution_id, name, version, created_at, scheduled_at, parent_id, started = row[:8]
    status, _, _, updated_at, completed_at, custom_status, _, failure = row[8:]
    begun = parsed(pb.ExecutionStartedEvent, started, "instances", instance_id, instance_id)
    return pb.OrchestrationState(
        instanceId=instance_id,
        name=name,
        version=events.text(version),
        orchestrationStatus=Status(status).to_proto(),
        scheduledStartTimestamp=events.timestamp(scheduled_at) if scheduled_at else None,
        createdTimestamp=events.timestamp(created_at),
        lastUpdatedTimestamp=events.timestamp(updated_at),
        completedTimestamp=events.timestamp(completed_at) if completed_at else None,
        input=events.text(given),
        output=events.text(output),
        customStatus=events.text(custom_status),
        failureDetails=(
            parsed(pb.TaskFailureDetails, failure, "instances", instance_id, instance_id)
            if failure
            else None
        ),
        executionId=events.text(execution_id),
        parentInstanceId=events.text(parent_id),
        tags=dict(begun.tags),
    )


def damaged_state(
    instance_id: str, what: str, row: tuple[Any, ...] | None = None
) -> pb.OrchestrationState:
    """Return the state as which an instance with a damaged row is shown."""
    shown_id = readable(instance_id)
    created_at, updated_at = (row[4], row[11]) if row is not None else (0, 0)
    return pb.OrchestrationState(
        instanceId=shown_id,
        name=readable(str(row[2])) if row is not None else "",
        orchestrationStatus=Status.FAILED.to_proto(),
        createdTimestamp=events.timestamp(_time(created_at)),
        lastUpdatedTimestamp=events.timestamp(_time(updated_at)),
        failureDetails=damage_failure(_damage(shown_id, what)),
    )


def damage_failure(message: str) -> pb.TaskFailureDetails:
    """Return the failure that tells clients of damaged data."""
    return pb.TaskFailureDetails(errorType=ERROR_TYPE, errorMessage=message, isNonRetriable=True)


def _damage(shown_id: str, what: str) -> str:
    return (
        f"The data of {shown_id} in the task hub's file is damaged ({what}). "
        "Restore a copy of the file, or purge it."
    )


def _time(at: Any) -> int:
    return at if isinstance(at, int) and 0 <= at <= _LATEST else 0
