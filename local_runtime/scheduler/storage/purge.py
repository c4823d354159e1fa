"""Deletes finished instances for good."""

from collections.abc import Sequence
from dataclasses import dataclass

from local_runtime.scheduler.engine.status import Status
from local_runtime.scheduler.storage import entities, instances, messages
from local_runtime.scheduler.storage.damage import DamagedRow, is_whole, readable
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
    rows: list[tuple[str]] = tx.connection.execute(
        "SELECT instance_id FROM instances WHERE completed_at < ?"
        " ORDER BY completed_at, instance_id LIMIT ? OFFSET ?",
        (before, limit, left),
    ).fetchall()
    failed = tx.for_all(rows, lambda some: _delete(tx, some))
    return PurgedGroup(
        len(rows) - len(failed),
        {readable(row[0]): str(error) for row, error in failed},
        len(rows) == limit,
    )


def _delete(tx: Transaction, rows: Sequence[tuple[str]]) -> None:
    for (instance_id,) in rows:
        if not is_whole(instance_id):  # nothing can be looked for by an id that is no text
            raise DamagedRow("instances", instance_id, instance_id, "its id is no UTF-8")
        instances.delete(tx, instance_id)


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
