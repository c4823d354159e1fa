"""Folds an orchestrator's answer into a decision (architecture, step 7). Pure."""

from collections.abc import Callable

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import (
    Continuation,
    Decision,
    End,
    Generation,
    InvalidResponse,
    Message,
    Outcome,
    Rewind,
    Start,
    Task,
    Termination,
)
from local_runtime.scheduler.engine.entity_messages import send_entity_message
from local_runtime.scheduler.engine.limits import bounded
from local_runtime.scheduler.engine.status import Status, from_proto


def decide_turn(
    generation: Generation,
    response: pb.OrchestratorResponse,
    now: int,
    new_id: Callable[[], str],
) -> Decision:
    """Return what follows from the actions an orchestrator answered a turn with.

    Each action is recorded as a history event that carries the action's id; then comes
    orchestratorCompleted and, when the instance is finished, executionCompleted.

    Raises:
        InvalidResponse: an action is of no kind this scheduler knows, or it ends more than once.
        InvalidValue: an action holds a time or an id that cannot be.
    """
    decision = Decision()
    for action in response.actions:
        kind = action.WhichOneof("orchestratorActionType")
        record = _RECORDERS.get(kind or "")
        if record is not None:
            record(generation, action, now, decision)
        elif kind == "completeOrchestration":
            end = _end(generation, action.completeOrchestration, new_id)
            _set_end(generation, decision, end)
        elif kind == "rewindOrchestration":
            rewind = Rewind(list(action.rewindOrchestration.newHistory))
            _set_end(generation, decision, rewind)
        else:
            raise InvalidResponse(
                f"{generation.instance_id}: action {action.id} is of the kind "
                f"{kind or '(none)'}, which this scheduler does not know"
            )
    decision.recorded.append(events.orchestrator_completed(now))
    if isinstance(decision.end, Outcome):
        outcome = decision.end
        decision.recorded.append(
            events.execution_completed(
                now, outcome.status.to_proto(), outcome.output, outcome.failure
            )
        )
    return decision


def _set_end(generation: Generation, decision: Decision, end: End) -> None:
    if decision.end is not None:
        raise InvalidResponse(f"{generation.instance_id}: an answer that ends the turn twice")
    decision.end = end


def _schedule_task(
    generation: Generation, action: pb.OrchestratorAction, now: int, decision: Decision
) -> None:
    task = action.scheduleTask
    trace = task.parentTraceContext if task.HasField("parentTraceContext") else None
    version = task.version if task.HasField("version") else None
    given = task.input if task.HasField("input") else None
    # An activity inherits its orchestration's tags; its own win.
    tags = {**generation.started.tags, **task.tags}
    scheduled = pb.TaskScheduledEvent(
        name=task.name, version=version, input=given, parentTraceContext=trace, tags=tags
    )
    decision.recorded.append(
        pb.HistoryEvent(eventId=action.id, timestamp=events.timestamp(now), taskScheduled=scheduled)
    )
    request = pb.ActivityRequest(
        name=task.name,
        version=version,
        input=given,
        orchestrationInstance=_reference(generation),
        taskId=action.id,
        parentTraceContext=trace,
        tags=tags,
    )
    decision.tasks.append(Task(action.id, request))


def _create_timer(
    generation: Generation, action: pb.OrchestratorAction, now: int, decision: Decision
) -> None:
    fire_at = action.createTimer.fireAt
    decision.recorded.append(
        pb.HistoryEvent(
            eventId=action.id,
            timestamp=events.timestamp(now),
            timerCreated=pb.TimerCreatedEvent(fireAt=fire_at),
        )
    )
    due_at = events.from_timestamp(fire_at)
    decision.messages.append(
        Message(
            generation.instance_id,
            events.timer_fired(max(due_at, now), action.id, fire_at),
            due_at=due_at,
            execution_id=generation.execution_id,
        )
    )


def _create_sub_orchestration(
    generation: Generation, action: pb.OrchestratorAction, now: int, decision: Decision
) -> None:
    child = action.createSubOrchestration
    child_id = child.instanceId or f"{generation.instance_id}:{action.id:04x}"
    trace = child.parentTraceContext if child.HasField("parentTraceContext") else None
    version = child.version if child.HasField("version") else None
    given = child.input if child.HasField("input") else None
    tags = {**generation.started.tags, **child.tags}
    decision.recorded.append(
        pb.HistoryEvent(
            eventId=action.id,
            timestamp=events.timestamp(now),
            subOrchestrationInstanceCreated=pb.SubOrchestrationInstanceCreatedEvent(
                instanceId=child_id,
                name=child.name,
                version=version,
                input=given,
                parentTraceContext=trace,
                tags=tags,
            ),
        )
    )
    parent = generation.started
    started = pb.ExecutionStartedEvent(
        name=child.name,
        version=version,
        input=given,
        parentInstance=pb.ParentInstanceInfo(
            taskScheduledId=action.id,
            name=events.text(parent.name),
            version=parent.version if parent.HasField("version") else None,
            orchestrationInstance=_reference(generation),
        ),
        parentTraceContext=trace,
        tags=tags,
    )
    decision.starts.append(Start(child_id, started, task_id=action.id))


def _send_event(
    generation: Generation, action: pb.OrchestratorAction, now: int, decision: Decision
) -> None:
    sent = action.sendEvent
    target_id = sent.instance.instanceId
    data = sent.data if sent.HasField("data") else None
    decision.recorded.append(
        pb.HistoryEvent(
            eventId=action.id,
            timestamp=events.timestamp(now),
            eventSent=pb.EventSentEvent(instanceId=target_id, name=sent.name, input=data),
        )
    )
    raised = events.event_raised(now, sent.name, data.value if data is not None else None)
    decision.messages.append(Message(target_id, raised))


def _terminate(
    generation: Generation, action: pb.OrchestratorAction, now: int, decision: Decision
) -> None:
    ended = action.terminateOrchestration
    reason = ended.reason.value if ended.HasField("reason") else None
    decision.terminations.append(Termination(ended.instanceId, reason, ended.recurse))


_GENERATION = ":"  # before what is new in the execution id of a later generation

_RECORDERS: dict[str, Callable[[Generation, pb.OrchestratorAction, int, Decision], None]] = {
    "scheduleTask": _schedule_task,
    "createTimer": _create_timer,
    "createSubOrchestration": _create_sub_orchestration,
    "sendEvent": _send_event,
    "terminateOrchestration": _terminate,
    "sendEntityMessage": send_entity_message,
}


def _end(
    generation: Generation, action: pb.CompleteOrchestrationAction, new_id: Callable[[], str]
) -> End:
    result = action.result.value if action.HasField("result") else None
    if action.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
        started = pb.ExecutionStartedEvent()
        started.CopyFrom(generation.started)
        started.ClearField("scheduledStartTimestamp")
        first = first_execution(generation.execution_id)
        started.orchestrationInstance.executionId.value = f"{first}{_GENERATION}{new_id()}"
        if action.HasField("result"):
            started.input.value = action.result.value
        if action.HasField("newVersion"):
            started.version.value = action.newVersion.value
        for name, value in action.tags.items():
            started.tags[name] = value
        return Continuation(started, list(action.carryoverEvents))
    status = from_proto(action.orchestrationStatus)
    if status is None or not status.is_terminal:
        raise InvalidResponse(
            f"{generation.instance_id}: completed with the status "
            f"{action.orchestrationStatus}, which is not an end"
        )
    failure = bounded(action.failureDetails) if action.HasField("failureDetails") else None
    if status is not Status.FAILED:
        return Outcome(status, result, None)
    if failure is None:
        details = action.details.value if action.HasField("details") else result
        failure = pb.TaskFailureDetails(
            errorType="OrchestrationFailed", errorMessage=details or "The orchestration failed."
        )
    return Outcome(status, result, failure)


def first_execution(execution_id: str) -> str:
    """Return the execution id that an instance was started with.

    Those of later generations begin with it, so that a start which is repeated is known for what
    it is, however often the instance has continued as new meanwhile.
    """
    return execution_id.partition(_GENERATION)[0]


def _reference(generation: Generation) -> pb.OrchestrationInstance:
    return pb.OrchestrationInstance(
        instanceId=generation.instance_id, executionId=events.text(generation.execution_id)
    )


def report_to_parent(
    parent: pb.ParentInstanceInfo, child_id: str, outcome: Outcome, now: int
) -> Message:
    """Return the message that tells a parent how its sub-orchestration ended."""
    task_id = parent.taskScheduledId
    if outcome.status is Status.COMPLETED:
        event = events.child_completed(now, task_id, outcome.output)
    elif outcome.failure is not None:
        event = events.child_failed(now, task_id, outcome.failure)
    else:
        event = events.child_failed(
            now,
            task_id,
            pb.TaskFailureDetails(
                errorType="SubOrchestrationTerminated",
                errorMessage=f"The sub-orchestration '{child_id}' was terminated.",
                isNonRetriable=True,
            ),
        )
    reference = parent.orchestrationInstance
    execution_id = reference.executionId.value if reference.HasField("executionId") else None
    return Message(reference.instanceId, event, execution_id=execution_id)
