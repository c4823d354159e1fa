"""Entity locks as stored with the entity; who gets one is the engine's decision."""

import sqlite3

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine.entity import Lock
from local_runtime.scheduler.storage.transaction import Transaction


def keep_account(tx: Transaction, instance_id: str, event: pb.HistoryEvent) -> None:
    """Note which critical sections an orchestration has asked for and not left."""
    if event.HasField("entityLockRequested"):
        tx.connection.execute(
            "INSERT OR IGNORE INTO critical_sections VALUES (?, ?)",
            (event.entityLockRequested.criticalSectionId, instance_id),
        )
    elif event.HasField("entityUnlockSent"):
        tx.connection.execute(
            "DELETE FROM critical_sections WHERE critical_section_id = ? AND instance_id = ?",
            (event.entityUnlockSent.criticalSectionId, instance_id),
        )


def is_wanted(connection: sqlite3.Connection, request: pb.EntityLockRequestedEvent) -> bool:
    """Whether the generation that asked for a lock is still there to use it."""
    row = connection.execute(
        "SELECT 1 FROM critical_sections WHERE critical_section_id = ? AND instance_id = ?",
        (request.criticalSectionId, request.parentInstanceId.value),
    )
    return row.fetchone() is not None


def release_all(tx: Transaction, holder_id: str) -> None:
    """Release what a finished orchestration still holds, and wake who waited for it."""
    tx.connection.execute("DELETE FROM critical_sections WHERE instance_id = ?", (holder_id,))
    rows = tx.connection.execute(
        "SELECT entity_id, state FROM entities WHERE holder_id = ?", (holder_id,)
    ).fetchall()
    for entity_id, state in rows:
        save(tx, entity_id, state, None)
        tx.effects.ready[entity_id] = None


def save(tx: Transaction, entity_id: str, state: str | None, lock: Lock | None) -> None:
    """Store an entity's state and lock; one with neither ceases to exist."""
    if state is None and lock is None:
        tx.connection.execute("DELETE FROM entities WHERE entity_id = ?", (entity_id,))
        return
    tx.connection.execute(
        "INSERT INTO entities (entity_id, state, holder_id, critical_section_id, modified_at)"
        " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (entity_id) DO UPDATE SET state = ?2,"
        " holder_id = ?3, critical_section_id = ?4, modified_at = ?5",
        (
            entity_id,
            state,
            lock.holder_id if lock is not None else None,
            lock.critical_section_id if lock is not None else None,
            tx.now,
        ),
    )
