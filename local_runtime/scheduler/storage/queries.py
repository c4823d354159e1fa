"""What clients read. Each function runs on a connection that only reads."""

import sqlite3
from dataclasses import dataclass, field
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.status import Status
from local_runtime.scheduler.storage import entities, messages

_COLUMNS = (
    "instance_id, execution_id, name, version, status, custom_status, failure, created_at,"
    " updated_at, completed_at, scheduled_at, parent_id, started"
)


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Which instances to list; times in microseconds, from inclusive, to exclusive."""

    statuses: list[Status] = field(default_factory=list[Status])
    created_from: int | None = None
    created_to: int | None = None
    id_prefix: str | None = None


def instance(
    connection: sqlite3.Connection, instance_id: str, *, payloads: bool
) -> pb.OrchestrationState | None:
    """Return the state of one instance, with input and output if asked."""
    row = connection.execute(
        f"SELECT {_COLUMNS}{_payload_columns(payloads)} FROM instances WHERE instance_id = ?",
        (instance_id,),
    ).fetchone()
    return _state(row) if row is not None else None


def is_terminal(connection: sqlite3.Connection, instance_id: str) -> bool:
    """Whether an instance exists and is finished."""
    row = connection.execute(
        "SELECT completed_at IS NOT NULL FROM instances WHERE instance_id = ?", (instance_id,)
    ).fetchone()
    return row is not None and bool(row[0])


def list_instances(
    connection: sqlite3.Connection,
    wanted: InstanceFilter,
    after: tuple[int, str] | None,
    limit: int,
    *,
    payloads: bool,
) -> list[pb.OrchestrationState]:
    """Return instances, the newest first, from behind `after` (creation time and id)."""
    conditions: list[str] = []
    values: list[object] = []

    def where(condition: str, *bound: object) -> None:
        conditions.append(condition)
        values.extend(bound)

    if wanted.statuses:
        marks = ", ".join("?" * len(wanted.statuses))
        where(f"status IN ({marks})", *(status.value for status in wanted.statuses))
    if wanted.created_from is not None:
        where("created_at >= ?", wanted.created_from)
    if wanted.created_to is not None:
        where("created_at < ?", wanted.created_to)
    if wanted.id_prefix:
        where("substr(instance_id, 1, ?) = ?", len(wanted.id_prefix), wanted.id_prefix)
    if after is not None:
        where("(created_at < ? OR (created_at = ? AND instance_id > ?))", after[0], *after)
    clause = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = connection.execute(
        f"SELECT {_COLUMNS}{_payload_columns(payloads)} FROM instances {clause}"
        " ORDER BY created_at DESC, instance_id LIMIT ?",
        (*values, limit),
    )
    return [_state(row) for row in rows]


def finished_ids(
    connection: sqlite3.Connection,
    statuses: list[Status],
    completed: tuple[int | None, int | None],
    after: tuple[int, str] | None,
    limit: int,
) -> list[tuple[int, str]]:
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
        conditions.append("(completed_at, instance_id) > (?, ?)")
        values += after
    rows = connection.execute(
        f"SELECT completed_at, instance_id FROM instances WHERE {' AND '.join(conditions)}"
        " ORDER BY completed_at, instance_id LIMIT ?",
        (*values, limit),
    )
    return rows.fetchall()


def entity(
    connection: sqlite3.Connection, entity_id: str, *, include_state: bool
) -> pb.EntityMetadata | None:
    """Return an entity, or None for one without a state."""
    stored = entities.find(connection, entity_id)
    if stored.state is None or stored.modified_at is None:
        return None
    return pb.EntityMetadata(
        instanceId=entity_id,
        lastModifiedTime=events.timestamp(stored.modified_at),
        backlogQueueSize=len(messages.queue(connection, entity_id)),
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
    after: str,
    limit: int,
    *,
    include_state: bool,
) -> list[pb.EntityMetadata]:
    """Return entities by id, from behind `after`; those without a state only if asked for."""
    conditions = ["entity_id > ?", "substr(entity_id, 1, ?) = ?"]
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
        "SELECT entity_id, state, holder_id, modified_at,"
        " (SELECT count(*) FROM inbox WHERE target_id = entity_id)"
        f" FROM entities WHERE {' AND '.join(conditions)} ORDER BY entity_id LIMIT ?",
        (*values, limit),
    )
    return [
        pb.EntityMetadata(
            instanceId=entity_id,
            lastModifiedTime=events.timestamp(modified_at),
            backlogQueueSize=backlog,
            lockedBy=events.text(holder_id),
            serializedState=events.text(state) if include_state else None,
        )
        for entity_id, state, holder_id, modified_at, backlog in rows
    ]


def _payload_columns(payloads: bool) -> str:
    return ", input, output" if payloads else ", NULL, NULL"


def _state(row: tuple[Any, ...]) -> pb.OrchestrationState:
    (
        instance_id,
        execution_id,
        name,
        version,
        status,
        custom_status,
        failure,
        created_at,
        updated_at,
        completed_at,
        scheduled_at,
        parent_id,
        started,
        given,
        output,
    ) = row
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
        failureDetails=pb.TaskFailureDetails.FromString(failure) if failure else None,
        executionId=events.text(execution_id),
        parentInstanceId=events.text(parent_id),
        tags=dict(pb.ExecutionStartedEvent.FromString(started).tags),
    )
