"""Entity locks as stored with the entity; who gets one is the engine's decision."""

import sqlite3
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine.entity import Lock
from local_runtime.scheduler.storage import checksums
from local_runtime.scheduler.storage.damage import DamagedRow, is_whole
from local_runtime.scheduler.storage.transaction import Transaction

COLUMNS = "entity_id, state, holder_id, critical_section_id, modified_at"


def keep_account(tx: Transaction, instance_id: str, event: pb.HistoryEvent) -> None:
    """Note which critical sections an orchestration has asked for and not left."""
    if event.HasField("entityLockRequested"):
        row = event.entityLockRequested.criticalSectionId, instance_id
        tx.connection.execute(
            "INSERT OR IGNORE INTO critical_sections"
            " (critical_section_id, instance_id, checksum) VALUES (?, ?, ?)",
            (*row, checksums.section(*row)),
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
        f"SELECT {COLUMNS}, checksum FROM entities WHERE holder_id = ?", (holder_id,)
    ).fetchall()
    for row in rows:
        what = fault(row)
        if what is not None:
            # Written anew it would seem to be sound: it stays as it is, with its lock.
            tx.effects.damaged.append(DamagedRow("entities", row[0], row[0], what))
            continue
        save(tx, row[0], row[1], None)
        tx.effects.ready[row[0]] = None


def fault(row: tuple[Any, ...]) -> str | None:
    """Return what is wrong with an entity's columns and checksum, or None."""
    *columns, stored = row
    if stored is not None:
        return checksums.check(stored, lambda: checksums.entity(*columns))
    texts = columns[:4]
    if all(text is None or (isinstance(text, str) and is_whole(text)) for text in texts):
        return None
    return "a text in it is no UTF-8"


def save(tx: Transaction, entity_id: str, state: str | None, lock: Lock | None) -> None:
    """Store an entity's state and lock; one with neither ceases to exist."""
    if state is None and lock is None:
        tx.connection.execute("DELETE FROM entities WHERE entity_id = ?", (entity_id,))
        return
    holder_id = lock.holder_id if lock is not None else None
    section_id = lock.critical_section_id if lock is not None else None
    row = entity_id, state, holder_id, section_id, tx.now
    tx.connection.execute(
        "INSERT INTO entities"
        " (entity_id, state, holder_id, critical_section_id, modified_at, checksum)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (entity_id) DO UPDATE SET state = ?2,"
        " holder_id = ?3, critical_section_id = ?4, modified_at = ?5, checksum = ?6",
        (*row, checksums.entity(*row)),
    )
