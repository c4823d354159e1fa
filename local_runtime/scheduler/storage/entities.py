"""Entities: their state, what a worker is given of their inbox, and what its answer changes."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime import faults
from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import Message
from local_runtime.scheduler.engine.entity import (
    Lock,
    Queued,
    decide_batch,
    plan_entity,
    plan_purge,
    signal_event,
)
from local_runtime.scheduler.engine.limits import InvalidValue
from local_runtime.scheduler.engine.limits import entity_id as one_spelling
from local_runtime.scheduler.engine.status import TERMINAL
from local_runtime.scheduler.storage import instances, locks, messages
from local_runtime.scheduler.storage.instances import InstanceExists
from local_runtime.scheduler.storage.transaction import Transaction

# Operations in one batch: many large ones must not add up to what no message can hold.
_MAX_BATCH_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """Leased work: operations of one entity that a worker has been given."""

    entity_id: str
    name: str
    operations: list[Queued]
    request: bytes  # EntityRequest


@dataclass(frozen=True, slots=True)
class StoredEntity:
    """An entity as it rests."""

    state: str | None
    lock: Lock | None
    modified_at: int | None


def find(connection: sqlite3.Connection, entity_id: str) -> StoredEntity:
    """Return an entity; one that was never stored has no state."""
    row: tuple[Any, ...] | None = connection.execute(
        "SELECT state, holder_id, critical_section_id, modified_at FROM entities"
        " WHERE entity_id = ?",
        (entity_id,),
    ).fetchone()
    if row is None:
        return StoredEntity(None, None, None)
    lock = Lock(row[1], row[2]) if row[1] is not None else None
    return StoredEntity(row[0], lock, row[3])


def load(tx: Transaction, entity_id: str, room: int | None = None) -> Batch | None:
    """Settle locks at the head of an entity's inbox and put together its next batch.

    With `room`, it has no more bytes than that with the state, or else a single operation.
    """
    entity = find(tx.connection, entity_id)
    plan = plan_entity(
        entity.lock,
        messages.queued_events(tx.connection, entity_id),
        lambda request: locks.is_wanted(tx.connection, request),
        tx.now,
    )
    if plan.consumed:
        messages.remove(tx, plan.consumed)
        locks.save(tx, entity_id, entity.state, plan.lock)
        faults.reach("lock.half")
        for message in plan.messages:
            messages.send(tx, message)
    if not plan.batch:
        return None
    most = _MAX_BATCH_BYTES
    if room is not None:
        most = min(most, room - len((entity.state or "").encode()))
    batch = _fitting(plan.batch, most)
    request = pb.EntityRequest(
        instanceId=entity_id,
        entityState=events.text(entity.state),
        operationRequests=[queued.event for queued in batch],
    )
    name = entity_id[1:].partition("@")[0]
    return Batch(entity_id, name, batch, request.SerializeToString())


def _fitting(batch: list[Queued], most: int) -> list[Queued]:
    """Return the operations that one batch takes; the rest waits for the next one."""
    size = 0
    for index, queued in enumerate(batch):
        size += queued.event.ByteSize()
        if size > most and index > 0:
            return batch[:index]
    return batch


def commit(tx: Transaction, batch: Batch, result: pb.EntityBatchResult) -> bool:
    """Apply a worker's answer to a batch.

    Returns:
        False when the entity was deleted meanwhile: the answer is dropped.
    """
    if not messages.is_queued(tx.connection, batch.operations[0].position):
        return False
    decision = decide_batch(batch.operations, result, tx.now, tx.new_id)
    messages.remove(tx, decision.done)
    if decision.done and not result.HasField("failureDetails"):
        state = result.entityState.value if result.HasField("entityState") else None
        locks.save(tx, batch.entity_id, state, find(tx.connection, batch.entity_id).lock)
    faults.reach("batch.half")
    for message in decision.messages:
        messages.send(tx, message)
    for start in decision.starts:
        try:
            instances.start(tx, start, TERMINAL)
        except (InstanceExists, InvalidValue) as error:
            # An entity has nobody to report to, and the rest of what it did counts.
            tx.effects.note(batch.entity_id, "did not start an orchestration: %s", error)
    if messages.has_any(tx.connection, batch.entity_id):
        tx.effects.ready[batch.entity_id] = None
    tx.effects.note(batch.entity_id, "%d operation(s) processed", len(decision.done))
    return True


def signal(tx: Transaction, request: pb.SignalEntityRequest) -> None:
    """Queue an operation that nobody waits for.

    Raises:
        InvalidValue: the id is not an entity's, or the time is none.
    """
    entity_id = one_spelling(request.instanceId)
    event = signal_event(entity_id, request.name, request, request.requestId, tx.now)
    due_at = (
        events.from_timestamp(request.scheduledTime) if request.HasField("scheduledTime") else None
    )
    messages.send(tx, Message(entity_id, event, due_at=due_at))


def delete(tx: Transaction, entity_id: str) -> bool:
    """Delete an entity and the operations queued for it; return whether there was anything.

    Whoever waits for an operation is told that it failed. A lock stays with its holder.

    Raises:
        InvalidValue: the id is not an entity's.
    """
    entity_id = one_spelling(entity_id)
    entity = find(tx.connection, entity_id)
    plan = plan_purge(entity_id, messages.queued_events(tx.connection, entity_id), tx.now)
    messages.remove(tx, plan.consumed)
    messages.drop_delayed(tx, entity_id)
    locks.save(tx, entity_id, None, entity.lock)
    faults.reach("delete.half")
    for message in plan.messages:
        messages.send(tx, message)
    tx.effects.cancelled[entity_id] = None
    if messages.has_any(tx.connection, entity_id):
        tx.effects.ready[entity_id] = None
    return entity.state is not None or bool(plan.consumed)
