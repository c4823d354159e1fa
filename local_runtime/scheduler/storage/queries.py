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
