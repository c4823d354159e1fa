"""Deletes finished instances for good."""

from collections.abc import Sequence
from dataclasses import dataclass

from local_runtime.scheduler.engine.status import Status
from local_runtime.scheduler.storage import entities, instances, messages
from local_runtime.scheduler.storage.set_aside import as_far_as_readable, readable
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


@dataclass(frozen=True, slots=True)
class PurgedGroup:
    """What came of one group of instances that were to be deleted."""

    deleted: int
    failed: dict[str, str]
    """Why some are still there, by instance id, as far as that can be read."""
    is_full: bool
    """Whether there may be more."""


def purge_expired(tx: Transaction, before: int, limit: int, left: int = 0) -> PurgedGroup:
    """Delete instances that ended before a moment, the oldest first.

    Args:
        tx: the transaction.
        before: the moment.
        limit: how many at most.
        left: how many of the oldest are passed over, because they could not be deleted before.
    """
    rows: list[tuple[bytes]] = tx.connection.execute(
        "SELECT CAST(instance_id AS BLOB) FROM instances WHERE completed_at < ?"
        " ORDER BY completed_at, instance_id LIMIT ? OFFSET ?",
        (before, limit, left),
    ).fetchall()
    failed = tx.for_all(rows, lambda some: _delete(tx, some))
    return PurgedGroup(
        len(rows) - len(failed),
        {as_far_as_readable(row[0]): str(error) for row, error in failed},
        len(rows) == limit,
    )


def _delete(tx: Transaction, rows: Sequence[tuple[bytes]]) -> None:
    for (instance_id,) in rows:
        instances.delete(tx, readable(instance_id, "its id"))


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
