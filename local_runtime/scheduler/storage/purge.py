"""Deletes finished instances for good."""

from local_runtime.scheduler.engine.status import Status
from local_runtime.scheduler.storage import entities, instances, messages
from local_runtime.scheduler.storage.damage import DamagedRow, is_whole
from local_runtime.scheduler.storage.transaction import Transaction


def purge(tx: Transaction, instance_id: str, *, recursive: bool) -> int:
    """Delete one finished instance (and its finished sub-orchestrations if asked), or an entity.

    Returns:
        How many were deleted; unfinished instances are not, unless their row is damaged.
    """
    if messages.is_entity(instance_id):
        return int(entities.delete(tx, instance_id))
    deleted = 0
    waiting = [instance_id]
    while waiting:
        current = waiting.pop()
        if not _may_go(tx, current):
            continue
        if recursive:
            waiting += instances.children(tx.connection, current)
        instances.delete(tx, current)
        deleted += 1
    return deleted


def _may_go(tx: Transaction, instance_id: str) -> bool:
    """Whether an instance is there and finished, or so damaged that it cannot ever be."""
    try:
        instance = instances.find(tx.connection, instance_id)
    except DamagedRow:
        return True
    return instance is not None and instance.status.is_terminal


def purge_expired(tx: Transaction, before: int, limit: int) -> int:
    """Delete instances that ended before a moment, the oldest first.

    Returns:
        How many were deleted: fewer than `limit` when no more are so old.
    """
    rows = tx.connection.execute(
        "SELECT instance_id FROM instances WHERE completed_at < ? ORDER BY completed_at LIMIT ?",
        (before, limit),
    ).fetchall()
    for (instance_id,) in rows:
        instances.delete(tx, instance_id)
    return len(rows)


def purge_matching(
    tx: Transaction,
    created_from: int | None,
    created_to: int | None,
    statuses: list[Status],
    limit: int,
) -> int:
    """Delete finished instances by time of creation (from inclusive, to exclusive) and status.

    Returns:
        How many were deleted: fewer than `limit` when no more match.
    """
    conditions = ["completed_at IS NOT NULL"]
    values: list[object] = []
    if created_from is not None:
        conditions.append("created_at >= ?")
        values.append(created_from)
    if created_to is not None:
        conditions.append("created_at < ?")
        values.append(created_to)
    if statuses:
        conditions.append(f"status IN ({', '.join('?' * len(statuses))})")
        values += [status.value for status in statuses]
    rows = tx.connection.execute(
        f"SELECT instance_id FROM instances WHERE {' AND '.join(conditions)} LIMIT ?",
        (*values, limit),
    ).fetchall()
    for (instance_id,) in rows:
        if is_whole(instance_id):  # nothing can be looked for by an id that is no text
            instances.delete(tx, instance_id)
    return len(rows)
