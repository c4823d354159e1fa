"""What an orchestrator's answer, or an entity's, changes in the state of the scheduler."""

from collections.abc import Callable
from datetime import datetime

from durabletask.internal import orchestrator_service_pb2 as pb

from durable_agents.testing import events
from durable_agents.testing.entities import Entity, Lock, answers, entity_id
from durable_agents.testing.instances import TERMINAL, Execution, Instance, Received, Turn
from durable_agents.testing.task_hub import ActivityWork, TaskHub, WaitBegun

_CONTINUED = pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW


def apply_turn(
    hub: TaskHub,
    instance: Instance,
    taken: list[Received],
    news: list[pb.HistoryEvent],
    response: pb.OrchestratorResponse,
) -> None:
    """Apply what an orchestrator answered to a turn.

    Args:
        hub: The state.
        instance: Whose turn it was.
        taken: What the turn took from the inbox.
        news: What the orchestrator was told.
        response: Its answer.
    """
    execution = instance.execution
    actions = list(response.actions)
    execution.turns.append(Turn(list(execution.past), news, actions))
    instance.inbox = [one for one in instance.inbox if not any(one is got for got in taken)]
    instance.updated_at = hub.now
    if response.HasField("customStatus"):
        instance.custom_status = response.customStatus.value
    end = next((a.completeOrchestration for a in actions if _ends(a)), None)
    continues = end is not None and end.orchestrationStatus == _CONTINUED
    if end is not None and continues:
        _continue_as_new(hub, instance, end)
    else:
        execution.past += news
        if not instance.suspended:
            instance.status = pb.ORCHESTRATION_STATUS_RUNNING
    recorded = [_record(hub, instance, action, continues) for action in actions]
    if not continues:
        execution.past += [event for event in recorded if event is not None]
        execution.past.append(events.turn_completed(hub.now))
        if end is not None:
            _end(hub, instance, end)
    _terminate_others(hub, actions)
    hub.notify()


def _record(
    hub: TaskHub, instance: Instance, action: pb.OrchestratorAction, continues: bool
) -> pb.HistoryEvent | None:
    recorder = _RECORDERS.get(action.WhichOneof("orchestratorActionType") or "")
    return None if recorder is None else recorder(hub, instance, action, continues)


def _terminate_others(hub: TaskHub, actions: list[pb.OrchestratorAction]) -> None:
    # After its own end: one that ends and terminates itself ends once.
    for action in actions:
        if action.HasField("terminateOrchestration"):
            asked = action.terminateOrchestration
            reason = asked.reason.value if asked.HasField("reason") else None
            hub.terminate(asked.instanceId, reason, recurse=asked.recurse)


def _ends(action: pb.OrchestratorAction) -> bool:
    return action.HasField("completeOrchestration")


def _end(hub: TaskHub, instance: Instance, end: pb.CompleteOrchestrationAction) -> None:
    result = end.result.value if end.HasField("result") else None
    failure = end.failureDetails if end.HasField("failureDetails") else None
    instance.execution.past.append(events.ended(hub.now, end.orchestrationStatus, result, failure))
    hub.end(instance, end.orchestrationStatus, result, failure)


def _continue_as_new(hub: TaskHub, instance: Instance, end: pb.CompleteOrchestrationAction) -> None:
    """Begin a new execution: its start, the carried events, then those that came meanwhile."""
    started = pb.ExecutionStartedEvent()
    started.CopyFrom(instance.execution.started)
    started.ClearField("input")
    if end.HasField("result"):
        started.input.value = end.result.value
    if end.HasField("newVersion"):
        started.version.value = end.newVersion.value
    started.orchestrationInstance.executionId.value = hub.new_id()
    meanwhile = [received.event for received in instance.inbox]
    hub.drop_work(instance)
    hub.release_locks(instance.id)
    instance.executions.append(Execution(started.orchestrationInstance.executionId.value, started))
    instance.status = (
        pb.ORCHESTRATION_STATUS_SUSPENDED if instance.suspended else pb.ORCHESTRATION_STATUS_RUNNING
    )
    carried = [event for event in [*end.carryoverEvents, *meanwhile] if _outlives(event)]
    instance.inbox = [
        Received(event, hub.round) for event in [events.started(hub.now, started), *carried]
    ]


def _outlives(event: pb.HistoryEvent) -> bool:
    """Whether an event is for the instance, and not an answer to its old execution."""
    kind = event.WhichOneof("eventType")
    return kind in ("eventRaised", "executionSuspended", "executionResumed")


def _schedule_task(
    hub: TaskHub, instance: Instance, action: pb.OrchestratorAction, continues: bool
) -> pb.HistoryEvent | None:
    task = action.scheduleTask
    given = task.input.value if task.HasField("input") else None
    # After continue-as-new it runs all the same, and nobody waits for its result.
    execution = instance.executions[-2 if continues else -1]
    key = instance.id, execution.id, action.id
    work = ActivityWork(key, task.name, given, hub.now)
    hub.activities[key] = work
    hub.work_log.append(work)
    scheduled = pb.TaskScheduledEvent(name=task.name, input=events.text(given))
    return _recorded(hub, action, taskScheduled=scheduled)


def _create_timer(
    hub: TaskHub, instance: Instance, action: pb.OrchestratorAction, continues: bool
) -> pb.HistoryEvent | None:
    if continues:
        return None
    fire_at = action.createTimer.fireAt
    due = events.moment(fire_at)
    hub.waits.append(WaitBegun(instance.id, hub.now, due))
    fired = events.timer_fired(max(due, hub.now), action.id)
    fired.timerFired.fireAt.CopyFrom(fire_at)
    hub.send(instance.id, fired, execution=instance.execution.id, due=due)
    return _recorded(hub, action, timerCreated=pb.TimerCreatedEvent(fireAt=fire_at))


def _create_child(
    hub: TaskHub, instance: Instance, action: pb.OrchestratorAction, continues: bool
) -> pb.HistoryEvent | None:
    child = action.createSubOrchestration
    execution = instance.executions[-2 if continues else -1]
    child_id = child.instanceId or f"{instance.id}:{action.id:04x}"
    version = child.version if child.HasField("version") else None
    given = child.input if child.HasField("input") else None
    reference = pb.OrchestrationInstance(instanceId=instance.id)
    reference.executionId.value = execution.id
    parent = pb.ParentInstanceInfo(
        taskScheduledId=action.id,
        name=events.text(instance.name),
        orchestrationInstance=reference,
    )
    tags = {**instance.execution.started.tags, **child.tags}
    started = pb.ExecutionStartedEvent(
        name=child.name, version=version, input=given, parentInstance=parent, tags=tags
    )
    hub.start_child(instance, action.id, child_id, started)
    created = pb.SubOrchestrationInstanceCreatedEvent(
        instanceId=child_id, name=child.name, version=version, input=given, tags=tags
    )
    return _recorded(hub, action, subOrchestrationInstanceCreated=created)


def _send_event(
    hub: TaskHub, instance: Instance, action: pb.OrchestratorAction, continues: bool
) -> pb.HistoryEvent | None:
    sent = action.sendEvent
    data = sent.data.value if sent.HasField("data") else None
    hub.send(sent.instance.instanceId, events.raised(hub.now, sent.name, data))
    event = pb.EventSentEvent(
        instanceId=sent.instance.instanceId, name=sent.name, input=events.text(data)
    )
    return _recorded(hub, action, eventSent=event)


def _send_to_entity(
    hub: TaskHub, instance: Instance, action: pb.OrchestratorAction, continues: bool
) -> pb.HistoryEvent | None:
    message = action.sendEntityMessage
    event = pb.HistoryEvent(eventId=action.id, timestamp=events.stamp(hub.now))
    due: datetime | None = None
    match message.WhichOneof("EntityMessageType"):
        case "entityOperationSignaled":
            signal = message.entityOperationSignaled
            target = signal.targetInstanceId.value
            due = events.moment(signal.scheduledTime) if signal.HasField("scheduledTime") else None
            event.entityOperationSignaled.CopyFrom(signal)
        case "entityOperationCalled":
            target = message.entityOperationCalled.targetInstanceId.value
            event.entityOperationCalled.CopyFrom(message.entityOperationCalled)
            event.entityOperationCalled.parentInstanceId.value = instance.id
            execution = instance.executions[-2 if continues else -1]
            event.entityOperationCalled.parentExecutionId.value = execution.id
        case "entityLockRequested":
            request = message.entityLockRequested
            target = request.lockSet[request.position]
            event.entityLockRequested.CopyFrom(request)
            event.entityLockRequested.parentInstanceId.value = instance.id
            if continues:
                return None  # nobody is left to use it
            hub.sections.add(Lock(instance.id, request.criticalSectionId))
        case _:
            unlock = message.entityUnlockSent
            target = unlock.targetInstanceId.value
            event.entityUnlockSent.CopyFrom(unlock)
            event.entityUnlockSent.parentInstanceId.value = instance.id
            hub.sections.discard(Lock(instance.id, unlock.criticalSectionId))
    hub.send(entity_id(target), event, due=due)
    return event


def _recorded(hub: TaskHub, action: pb.OrchestratorAction, **kind: object) -> pb.HistoryEvent:
    event = pb.HistoryEvent(eventId=action.id, timestamp=events.stamp(hub.now))
    for name, value in kind.items():
        getattr(event, name).CopyFrom(value)
    return event


type _Recorder = Callable[[TaskHub, Instance, pb.OrchestratorAction, bool], pb.HistoryEvent | None]
_RECORDERS: dict[str, _Recorder] = {
    "scheduleTask": _schedule_task,
    "createTimer": _create_timer,
    "createSubOrchestration": _create_child,
    "sendEvent": _send_event,
    "sendEntityMessage": _send_to_entity,
}


def apply_operations(
    hub: TaskHub, entity: Entity, batch: list[pb.HistoryEvent], result: pb.EntityBatchResult
) -> None:
    """Apply what an entity answered to a batch of operations."""
    done = batch[: len(result.results)]
    entity.queue = [event for event in entity.queue if not any(event is one for one in done)]
    entity.state = result.entityState.value if result.HasField("entityState") else None
    entity.modified_at = hub.now
    for answer in answers(done, result, hub.now):
        hub.tell(answer)
    for action in result.actions:
        if action.HasField("sendSignal"):
            asked = action.sendSignal
            event = events.signal(hub.now, asked.instanceId, hub.new_id(), asked)
            due = events.moment(asked.scheduledTime) if asked.HasField("scheduledTime") else None
            hub.send(entity_id(asked.instanceId), event, due=due)
        elif action.HasField("startNewOrchestration"):
            _start(hub, action.startNewOrchestration)
    hub.notify()


def _start(hub: TaskHub, asked: pb.StartNewOrchestrationAction) -> None:
    started = pb.ExecutionStartedEvent(
        name=asked.name,
        version=asked.version if asked.HasField("version") else None,
        input=asked.input if asked.HasField("input") else None,
    )
    due = events.moment(asked.scheduledTime) if asked.HasField("scheduledTime") else None
    try:
        hub.start(started, asked.instanceId, due=due, replaceable=TERMINAL)
    except ValueError:
        return  # an entity has nobody to report to, and the rest of what it did counts
