"""What a rewind leaves to be done: work whose result the cleaned history no longer holds. Pure.

The worker cleans the history of a failed instance (failed tasks and their schedulings, failed
sub-orchestrations, the end). What was still under way when the instance failed was dropped then,
so whatever is scheduled in the cleaned history and has no result is scheduled again here.
"""

from dataclasses import dataclass, field

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import InvalidResponse, Message, Task


@dataclass(slots=True)
class RewindDecision:
    """The cleaned history's consequences; `children` have no result yet, by the parent's task."""

    started: pb.ExecutionStartedEvent
    tasks: list[Task] = field(default_factory=list[Task])
    timers: list[Message] = field(default_factory=list[Message])
    children: dict[int, pb.SubOrchestrationInstanceCreatedEvent] = field(
        default_factory=dict[int, pb.SubOrchestrationInstanceCreatedEvent]
    )
    reason: str | None = None


def decide_rewind(instance_id: str, new_history: list[pb.HistoryEvent], now: int) -> RewindDecision:
    """Return what has to be scheduled again for a cleaned history.

    Raises:
        InvalidResponse: the history has no start of this instance, no new execution id, or an end.
        InvalidValue: it holds a timer for a time that cannot be.
    """
    if any(event.HasField("executionCompleted") for event in new_history):
        raise InvalidResponse(f"{instance_id}: a rewound history that has ended")
    decision = RewindDecision(_started(instance_id, new_history))
    done = _answered(new_history)
    for event in new_history:
        match event.WhichOneof("eventType"):
            case "taskScheduled" if ("task", event.eventId) not in done:
                decision.tasks.append(_task(decision.started, event))
            case "timerCreated" if ("timer", event.eventId) not in done:
                decision.timers.append(_timer(decision.started, event, now))
            case "subOrchestrationInstanceCreated" if ("child", event.eventId) not in done:
                decision.children[event.eventId] = event.subOrchestrationInstanceCreated
            case "executionRewound" if event.executionRewound.HasField("reason"):
                decision.reason = event.executionRewound.reason.value
            case _:
                pass
    return decision


def _started(instance_id: str, new_history: list[pb.HistoryEvent]) -> pb.ExecutionStartedEvent:
    for event in new_history:
        if event.HasField("executionStarted"):
            own = event.executionStarted.orchestrationInstance
            if own.executionId.value and own.instanceId == instance_id:
                return event.executionStarted
            break
    raise InvalidResponse(
        f"{instance_id}: a rewound history without its executionStarted and a new execution id"
    )


def _answered(new_history: list[pb.HistoryEvent]) -> set[tuple[str, int]]:
    done: set[tuple[str, int]] = set()
    for event in new_history:
        match event.WhichOneof("eventType"):
            case "taskCompleted":
                done.add(("task", event.taskCompleted.taskScheduledId))
            case "timerFired":
                done.add(("timer", event.timerFired.timerId))
            case "subOrchestrationInstanceCompleted":
                done.add(("child", event.subOrchestrationInstanceCompleted.taskScheduledId))
            case _:
                pass
    return done


def _task(started: pb.ExecutionStartedEvent, event: pb.HistoryEvent) -> Task:
    scheduled = event.taskScheduled
    trace = scheduled.parentTraceContext if scheduled.HasField("parentTraceContext") else None
    request = pb.ActivityRequest(
        name=scheduled.name,
        version=scheduled.version if scheduled.HasField("version") else None,
        input=scheduled.input if scheduled.HasField("input") else None,
        orchestrationInstance=started.orchestrationInstance,
        taskId=event.eventId,
        parentTraceContext=trace,
        tags=dict(scheduled.tags),
    )
    return Task(event.eventId, request)


def _timer(started: pb.ExecutionStartedEvent, event: pb.HistoryEvent, now: int) -> Message:
    fire_at = event.timerCreated.fireAt
    due_at = events.from_timestamp(fire_at)
    return Message(
        started.orchestrationInstance.instanceId,
        events.timer_fired(max(due_at, now), event.eventId, fire_at),
        due_at=due_at,
        execution_id=started.orchestrationInstance.executionId.value,
    )
