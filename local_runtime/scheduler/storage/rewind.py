"""Sends failed instances, and the sub-orchestrations they failed with, back to before the failure.

A worker takes part: it gets the history with an executionRewound event, and answers with the
history cleaned of its failures (`apply`); then the orchestrator replays on that.
"""

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime import faults
from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import Rewind, Start
from local_runtime.scheduler.engine.rewind import RewindDecision, decide_rewind
from local_runtime.scheduler.engine.status import Status
from local_runtime.scheduler.storage import activities, checksums, history, instances, messages
from local_runtime.scheduler.storage.controls import InstanceNotFound, NotInThatState
from local_runtime.scheduler.storage.instances import Instance
from local_runtime.scheduler.storage.transaction import Transaction

_NO_RUN = ""  # the run of the parent that a child reports to: none
_COMPLETED, _FAILED = "subOrchestrationInstanceCompleted", "subOrchestrationInstanceFailed"


def begin(
    tx: Transaction, instance_id: str, reason: str | None, parent_execution_id: str | None = None
) -> None:
    """Set a failed instance running again; the next turn asks a worker to clean its history.

    A child that is rewound by itself (without `parent_execution_id`, the new run of its parent)
    does not report to its parent again, which was told of the failure. Should the parent be
    rewound later, it finds the child, or its result.

    Raises:
        InstanceNotFound: there is no such instance.
        NotInThatState: it has not failed.
    """
    instance = instances.find(tx.connection, instance_id)
    if instance is None:
        raise InstanceNotFound(f"there is no orchestration instance with the id '{instance_id}'")
    if instance.status is not Status.FAILED:
        raise NotInThatState(
            f"the orchestration instance '{instance_id}' is {instance.status.capitalize()}, "
            "and only a Failed one can be rewound"
        )
    tx.connection.execute(
        "UPDATE instances SET status = 'RUNNING', completed_at = NULL, output = NULL,"
        " output_checksum = ?, failure = NULL, updated_at = ? WHERE instance_id = ?",
        (checksums.payload(instance_id, None), tx.now, instance_id),
    )
    instances.seal(tx, instance_id)
    if parent_execution_id is None and instance.started.HasField("parentInstance"):
        to_no_run = pb.ParentInstanceInfo()
        to_no_run.CopyFrom(instance.started.parentInstance)
        to_no_run.orchestrationInstance.executionId.CopyFrom(StringValue(value=_NO_RUN))
        _link(tx, instance, to_no_run)
    messages.put(tx, instance_id, events.execution_rewound(tx.now, reason, parent_execution_id))
    tx.effects.changed[instance_id] = None
    tx.effects.note(instance_id, "%s is rewound", instance.started.name)


def apply(tx: Transaction, instance: Instance, end: Rewind) -> None:
    """Replace the history by the cleaned one, and schedule again what has no result in it."""
    instance_id = instance.instance_id
    decision = decide_rewind(instance_id, end.history, tx.now)
    execution_id = decision.started.orchestrationInstance.executionId.value
    history.clear(tx, instance_id)
    length = history.append(
        tx, instance_id, 0, [event.SerializeToString() for event in end.history]
    )
    kept = pb.ExecutionStartedEvent()
    kept.CopyFrom(decision.started)
    kept.ClearField("input")
    if instance.started.HasField("parentInstance"):
        # The parent may have been rewound again since it asked for this.
        kept.parentInstance.CopyFrom(instance.started.parentInstance)
    tx.connection.execute(
        "UPDATE instances SET execution_id = ?, started = ?, history_length = ?, updated_at = ?"
        " WHERE instance_id = ?",
        (execution_id, kept.SerializeToString(), length, tx.now, instance_id),
    )
    instances.seal(tx, instance_id)
    for task in decision.tasks:
        activities.add(tx, instance_id, execution_id, task)
    for timer in decision.timers:
        messages.send(tx, timer)
    faults.reach("rewind.half")
    _take_up_children(tx, instance, kept, decision)


def _take_up_children(
    tx: Transaction, before: Instance, parent: pb.ExecutionStartedEvent, decision: RewindDecision
) -> None:
    """Let the children go on, and tell the parent what it is to know of their ends.

    First comes the bare turn, in which the orchestrator replays; then what came during the rewind.
    """
    meanwhile = _taken_out(tx, before.instance_id)
    completed = [event for event in meanwhile if event.HasField(_COMPLETED)]
    done = {event.subOrchestrationInstanceCompleted.taskScheduledId for event in completed}
    for task_id, created in decision.children.items():
        if task_id not in done:
            _take_up_child(tx, before, parent, task_id, created, decision.reason)
    ended = _taken_out(tx, before.instance_id)
    # A child that failed during the rewind goes on as well, and tells of its end then.
    told = [event for event in meanwhile if _failed_task(event) not in decision.children]
    for event in [events.orchestrator_started(tx.now), *told, *ended]:
        messages.put(tx, before.instance_id, event)


def _failed_task(event: pb.HistoryEvent) -> int | None:
    return event.subOrchestrationInstanceFailed.taskScheduledId if event.HasField(_FAILED) else None


def _taken_out(tx: Transaction, instance_id: str) -> list[pb.HistoryEvent]:
    """Empty an inbox, and return what was in it."""
    queued = messages.queue(tx.connection, instance_id)
    messages.remove(tx, [position for position, _ in queued])
    return [pb.HistoryEvent.FromString(event) for _, event in queued]


def _take_up_child(
    tx: Transaction,
    before: Instance,
    parent: pb.ExecutionStartedEvent,
    task_id: int,
    created: pb.SubOrchestrationInstanceCreatedEvent,
    reason: str | None,
) -> None:
    """Let a sub-orchestration without a result go on, for its parent's new run.

    One that completed when its parent had failed does not run again: its result is told now.
    """
    link = pb.ParentInstanceInfo(
        taskScheduledId=task_id,
        name=events.text(parent.name),
        version=parent.version if parent.HasField("version") else None,
        orchestrationInstance=parent.orchestrationInstance,
    )
    child = instances.find(tx.connection, created.instanceId)
    if child is None or child.status is Status.TERMINATED or not _is_own(child, link, before):
        # Purged, or ended without a result, or by now somebody else's: it runs anew if it can.
        started = pb.ExecutionStartedEvent(
            name=created.name,
            version=created.version if created.HasField("version") else None,
            input=created.input if created.HasField("input") else None,
            parentInstance=link,
            tags=dict(created.tags),
        )
        start = Start(created.instanceId, started, task_id=task_id)
        instances.start_child(tx, parent.orchestrationInstance, start)
        return
    _link(tx, child, link)
    if child.status is Status.COMPLETED:
        output = instances.output(tx.connection, child.instance_id)
        told = events.child_completed(tx.now, task_id, output)
        messages.put(tx, before.instance_id, told)
    elif child.status is Status.FAILED:
        begin(tx, child.instance_id, reason, parent.orchestrationInstance.executionId.value)


def _is_own(child: Instance, link: pb.ParentInstanceInfo, before: Instance) -> bool:
    known = child.started.parentInstance
    return (
        known.orchestrationInstance.instanceId == before.instance_id
        # A second task for the same id was refused, and must not take the first one's child.
        and known.taskScheduledId == link.taskScheduledId
        # Nor must a task of this generation take the child of one before it.
        and known.orchestrationInstance.executionId.value in (_NO_RUN, before.execution_id)
    )


def _link(tx: Transaction, child: Instance, parent: pb.ParentInstanceInfo) -> None:
    """Store which task of which run of its parent a child reports to."""
    child.started.parentInstance.CopyFrom(parent)
    tx.connection.execute(
        "UPDATE instances SET started = ? WHERE instance_id = ?",
        (child.started.SerializeToString(), child.instance_id),
    )
    instances.seal(tx, child.instance_id)
