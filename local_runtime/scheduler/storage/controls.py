"""What people do to a running instance: raise an event, suspend, resume, terminate."""

from dataclasses import replace

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import Outcome
from local_runtime.scheduler.engine.status import Status
from local_runtime.scheduler.storage import history, instances, messages
from local_runtime.scheduler.storage.damage import DamagedRow
from local_runtime.scheduler.storage.instances import Instance
from local_runtime.scheduler.storage.transaction import Transaction


class InstanceNotFound(Exception):
    """No instance has this id."""


class NotInThatState(Exception):
    """The instance is in a state in which this cannot be done."""


def _require(tx: Transaction, instance_id: str) -> Instance:
    instance = instances.find(tx.connection, instance_id)
    if instance is None:
        raise InstanceNotFound(f"there is no orchestration instance with the id '{instance_id}'")
    return instance


def raise_event(tx: Transaction, instance_id: str, name: str, data: str | None) -> None:
    """Tell an instance something; a finished one does not listen.

    Raises:
        InstanceNotFound: there is no such instance.
    """
    instance = _require(tx, instance_id)
    if not instance.status.is_terminal:
        messages.put(tx, instance_id, events.event_raised(tx.now, name, data))
        tx.effects.note(instance_id, "event %s raised", name)


def suspend(tx: Transaction, instance_id: str, reason: str | None) -> None:
    """Pause an instance; one that is paused or finished stays as it is.

    Raises:
        InstanceNotFound: there is no such instance.
    """
    instance = _require(tx, instance_id)
    if instance.status.is_terminal or instance.suspended:
        return
    tx.connection.execute(
        "UPDATE instances SET suspended = 1, status = 'SUSPENDED', updated_at = ?"
        " WHERE instance_id = ?",
        (tx.now, instance_id),
    )
    instances.seal(tx, instance_id)
    messages.put(tx, instance_id, events.execution_suspended(tx.now, reason))
    tx.effects.note(instance_id, "suspended")


def resume(tx: Transaction, instance_id: str, reason: str | None) -> None:
    """Let a paused instance go on; any other stays as it is.

    Raises:
        InstanceNotFound: there is no such instance.
    """
    instance = _require(tx, instance_id)
    if instance.status.is_terminal or not instance.suspended:
        return
    status = Status.RUNNING if instance.has_begun else Status.PENDING
    tx.connection.execute(
        "UPDATE instances SET suspended = 0, status = ?, updated_at = ? WHERE instance_id = ?",
        (status.value, tx.now, instance_id),
    )
    instances.seal(tx, instance_id)
    messages.put(tx, instance_id, events.execution_resumed(tx.now, reason))
    tx.effects.note(instance_id, "resumed")


def terminate(tx: Transaction, instance_id: str, output: str | None, *, recurse: bool) -> bool:
    """End an instance, and its unfinished sub-orchestrations if asked.

    No worker takes part: an instance ends even while it is suspended, has not begun, or no worker
    knows its orchestrator. A turn that is under way comes back stale and is dropped.

    Returns:
        Whether an instance of this id exists.
    """
    exists = False
    waiting = [instance_id]
    while waiting:
        instance = instances.find(tx.connection, waiting.pop())
        if instance is None:
            continue
        exists = True
        if instance.status.is_terminal:
            continue
        try:
            instance = _record_termination(tx, instance, output, recurse=recurse)
        except DamagedRow as damage:
            # What is damaged gets no further entry; the instance ends all the same.
            tx.effects.note(instance.instance_id, "%s", damage)
        instances.end(tx, instance, Outcome(Status.TERMINATED, output, None))
        if recurse:
            waiting += instances.children(tx.connection, instance.instance_id)
    return exists


def _record_termination(
    tx: Transaction, instance: Instance, output: str | None, *, recurse: bool
) -> Instance:
    new = [events.orchestrator_started(tx.now)]
    if not instance.has_begun:
        new.append(events.execution_started(tx.now, instance.started))
    # That it was to be rewound is why its history goes on.
    queue = messages.queued_events(tx.connection, instance.instance_id)
    new += [queued.event for queued in queue if queued.event.HasField("executionRewound")]
    new += [
        events.execution_terminated(tx.now, output, recurse=recurse),
        events.orchestrator_completed(tx.now),
        events.execution_completed(tx.now, Status.TERMINATED.to_proto(), output, None),
    ]
    # One that is being rewound has its old end until a worker has cleaned its history.
    length = history.append(
        tx,
        instance.instance_id,
        history.reopen(tx, instance.instance_id, instance.history_length),
        [event.SerializeToString() for event in new],
    )
    tx.connection.execute(
        "UPDATE instances SET history_length = ? WHERE instance_id = ?",
        (length, instance.instance_id),
    )
    return replace(instance, history_length=length)
