"""Deletes finished instances for good."""

from local_runtime.scheduler.engine.status import Status
from local_runtime.scheduler.storage import entities, instances, messages
from local_runtime.scheduler.storage.transaction import Transaction


def purge(tx: Transaction, instance_id: str, *, recursive: bool) -> int:
    """Delete one finished instance (and its finished sub-orchestrations if asked), or an entity.

    Returns:
        How many were deleted; unfinished instances are not.
    """
    if messages.is_entity(instance_id):
        return int(entities.delete(tx, instance_id))
    deleted = 0
    waiting = [instance_id]
    while waiting:
        instance = instances.find(tx.connection, waiting.pop())
        if instance is None or not instance.status.is_terminal:
            continue
        if recursive:
            waiting += instances.children(tx.connection, instance.instance_id)
        instances.delete(tx, instance.instance_id)
        deleted += 1
    return deleted


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
        instances.delete(tx, instance_id)
    return len(rows)
