"""What an orchestrator says to entities: operations, lock requests and unlocks. Pure."""

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import (
    Decision,
    Generation,
    InvalidResponse,
    Message,
)
from local_runtime.scheduler.engine.limits import entity_id


def send_entity_message(
    generation: Generation, action: pb.OrchestratorAction, now: int, decision: Decision
) -> None:
    """Record one message of an orchestrator to an entity and address it.

    Raises:
        InvalidResponse: the message is of no known kind, or locks what cannot be locked.
        InvalidValue: it names no entity, or no time.
    """
    message = action.sendEntityMessage
    event = pb.HistoryEvent(eventId=action.id, timestamp=events.timestamp(now))
    due_at: int | None = None
    match message.WhichOneof("EntityMessageType"):
        case "entityOperationSignaled":
            signal = message.entityOperationSignaled
            target = signal.targetInstanceId.value
            if signal.HasField("scheduledTime"):
                due_at = events.from_timestamp(signal.scheduledTime)
            event.entityOperationSignaled.CopyFrom(signal)
        case "entityOperationCalled":
            called = message.entityOperationCalled
            target = called.targetInstanceId.value
            if called.HasField("scheduledTime"):
                events.from_timestamp(called.scheduledTime)  # the entity's worker will read it
            event.entityOperationCalled.CopyFrom(message.entityOperationCalled)
            event.entityOperationCalled.parentInstanceId.value = generation.instance_id
            event.entityOperationCalled.parentExecutionId.value = generation.execution_id
        case "entityLockRequested":
            request = message.entityLockRequested
            target = _lock_target(generation, request)
            event.entityLockRequested.CopyFrom(request)
            event.entityLockRequested.parentInstanceId.value = generation.instance_id
        case "entityUnlockSent":
            target = message.entityUnlockSent.targetInstanceId.value
            event.entityUnlockSent.CopyFrom(message.entityUnlockSent)
            event.entityUnlockSent.parentInstanceId.value = generation.instance_id
        case kind:
            raise InvalidResponse(
                f"{generation.instance_id}: entity message {action.id} is of the kind "
                f"{kind or '(none)'}, which this scheduler does not know"
            )
    decision.recorded.append(event)
    decision.messages.append(Message(entity_id(target), event, due_at=due_at))


def _lock_target(generation: Generation, request: pb.EntityLockRequestedEvent) -> str:
    if not 0 <= request.position < len(request.lockSet):
        raise InvalidResponse(
            f"{generation.instance_id}: a lock request at position {request.position} "
            f"of {len(request.lockSet)} entities"
        )
    # The request will go through them all by itself, with nobody left to refuse it: an id that is
    # none would stop the entity before it, and one that comes twice would wait for itself.
    wanted = [entity_id(wanted) for wanted in request.lockSet]
    if len(set(wanted)) != len(wanted):
        raise InvalidResponse(f"{generation.instance_id}: a lock request names an entity twice")
    return request.lockSet[request.position]
