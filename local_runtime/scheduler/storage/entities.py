"""Entities: their state, what a worker is given of their inbox, and what its answer changes."""

import functools
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.message import DecodeError

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
from local_runtime.scheduler.storage.damage import DamagedRow, as_damage, is_damage
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
    """Return an entity; one that was never stored has no state.

    Raises:
        DamagedRow: it is not what was written.
    """
    row: tuple[Any, ...] | None = connection.execute(
        f"SELECT {locks.COLUMNS}, checksum FROM entities WHERE entity_id = ?", (entity_id,)
    ).fetchone()
    if row is None:
        return StoredEntity(None, None, None)
    what = locks.fault(row)
    if what is not None or row[0] != entity_id:
        raise DamagedRow("entities", entity_id, entity_id, what or "its id is another one")
    lock = Lock(row[2], row[3]) if row[2] is not None else None
    return StoredEntity(row[1], lock, row[4])


def _or_say_why_not[**P](
    load: Callable[Concatenate[Transaction, str, P], Batch | None],
) -> Callable[Concatenate[Transaction, str, P], Batch | None]:
    """Let there be no batch of an entity that is damaged; what is damaged is told of once."""

    @functools.wraps(load)
    def loaded(tx: Transaction, entity_id: str, *args: P.args, **kwargs: P.kwargs) -> Batch | None:
        try:
            return load(tx, entity_id, *args, **kwargs)
        except (DamagedRow, DecodeError, UnicodeError, sqlite3.DatabaseError) as error:
            if not is_damage(error):
                raise
            tx.effects.damaged.append(as_damage(error, entity_id))
            return None

    return loaded


@_or_say_why_not
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
    try:
        entity = find(tx.connection, entity_id)
        queued = messages.queued_events(tx.connection, entity_id)
    except DamagedRow:
        return _delete_damaged(tx, entity_id)
    plan = plan_purge(entity_id, queued, tx.now)
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


def _delete_damaged(tx: Transaction, entity_id: str) -> bool:
    """Delete all there is of an entity: of what cannot be read nobody can be told."""
    tx.connection.execute("DELETE FROM entities WHERE entity_id = ?", (entity_id,))
    messages.drop_queued(tx, entity_id)
    messages.drop_delayed(tx, entity_id)
    tx.effects.cancelled[entity_id] = None
    tx.effects.note(entity_id, "deleted with what was damaged of it")
    return True
