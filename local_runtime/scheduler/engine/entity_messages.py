"""What an orchestrator says to entities: operations, lock requests and unlocks. Pure."""

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import (
    Decision,
    Generation,
    InvalidResponse,
    Message,
)


def entity_id(text: str) -> str:
    """Return an entity id in its one spelling: `@name@key`, the name in lower case.

    Raises:
        InvalidResponse: the text is not an entity id.
    """
    start, separator, key = text[1:].partition("@")
    if not text.startswith("@") or not separator or not start:
        raise InvalidResponse(f"'{text}' is not an entity id; one looks like @name@key")
    return f"@{start.lower()}@{key}"


def send_entity_message(
    generation: Generation, action: pb.OrchestratorAction, now: int, decision: Decision
) -> None:
    """Record one message of an orchestrator to an entity and address it.

    Raises:
        InvalidResponse: the message is of no known kind or names no entity.
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
            target = message.entityOperationCalled.targetInstanceId.value
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
    return request.lockSet[request.position]
