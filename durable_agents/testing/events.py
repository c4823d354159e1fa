"""Makes the events of histories and inboxes, and reads their times. Times are in UTC."""

from datetime import UTC, datetime

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

NO_ID = -1
"""The id of an event that no action of an orchestrator caused."""


def text(value: str | None) -> StringValue | None:
    """Return a text as the protocol's optional text."""
    return None if value is None else StringValue(value=value)


def stamp(at: datetime) -> Timestamp:
    """Return a moment as the protocol has it."""
    found = Timestamp()
    found.FromDatetime(at)
    return found


def moment(at: Timestamp) -> datetime:
    """Return the protocol's time as a moment in UTC."""
    return at.ToDatetime(tzinfo=UTC)


def turn_started(at: datetime) -> pb.HistoryEvent:
    """The first event of every turn: its time is the time that the orchestrator sees."""
    return pb.HistoryEvent(
        eventId=NO_ID, timestamp=stamp(at), orchestratorStarted=pb.OrchestratorStartedEvent()
    )


def turn_completed(at: datetime) -> pb.HistoryEvent:
    """The last event of a turn."""
    return pb.HistoryEvent(
        eventId=NO_ID, timestamp=stamp(at), orchestratorCompleted=pb.OrchestratorCompletedEvent()
    )


def started(at: datetime, event: pb.ExecutionStartedEvent) -> pb.HistoryEvent:
    """The first event of an execution."""
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), executionStarted=event)


def ended(
    at: datetime,
    status: pb.OrchestrationStatus,
    result: str | None,
    failure: pb.TaskFailureDetails | None,
) -> pb.HistoryEvent:
    """The last event of an instance."""
    end = pb.ExecutionCompletedEvent(
        orchestrationStatus=status, result=text(result), failureDetails=failure
    )
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), executionCompleted=end)


def terminated(at: datetime, output: str | None, *, recurse: bool) -> pb.HistoryEvent:
    """Someone ended the instance."""
    end = pb.ExecutionTerminatedEvent(input=text(output), recurse=recurse)
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), executionTerminated=end)


def suspended(at: datetime, reason: str | None) -> pb.HistoryEvent:
    """Someone paused the instance."""
    event = pb.ExecutionSuspendedEvent(input=text(reason))
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), executionSuspended=event)


def resumed(at: datetime, reason: str | None) -> pb.HistoryEvent:
    """Someone let a paused instance go on."""
    event = pb.ExecutionResumedEvent(input=text(reason))
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), executionResumed=event)


def raised(at: datetime, name: str, data: str | None) -> pb.HistoryEvent:
    """Something outside told the instance something."""
    event = pb.EventRaisedEvent(name=name, input=text(data))
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), eventRaised=event)


def task_completed(at: datetime, task_id: int, result: str | None) -> pb.HistoryEvent:
    """An activity returned."""
    event = pb.TaskCompletedEvent(taskScheduledId=task_id, result=text(result))
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), taskCompleted=event)


def task_failed(at: datetime, task_id: int, failure: pb.TaskFailureDetails) -> pb.HistoryEvent:
    """An activity raised."""
    event = pb.TaskFailedEvent(taskScheduledId=task_id, failureDetails=failure)
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), taskFailed=event)


def timer_fired(at: datetime, timer_id: int) -> pb.HistoryEvent:
    """A timer is due."""
    event = pb.TimerFiredEvent(fireAt=stamp(at), timerId=timer_id)
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), timerFired=event)


def child_completed(at: datetime, task_id: int, result: str | None) -> pb.HistoryEvent:
    """A sub-orchestration returned."""
    event = pb.SubOrchestrationInstanceCompletedEvent(taskScheduledId=task_id, result=text(result))
    return pb.HistoryEvent(
        eventId=NO_ID, timestamp=stamp(at), subOrchestrationInstanceCompleted=event
    )


def child_failed(at: datetime, task_id: int, failure: pb.TaskFailureDetails) -> pb.HistoryEvent:
    """A sub-orchestration failed, was terminated, or could not be started."""
    event = pb.SubOrchestrationInstanceFailedEvent(taskScheduledId=task_id, failureDetails=failure)
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), subOrchestrationInstanceFailed=event)


def operation_completed(at: datetime, request_id: str, output: str | None) -> pb.HistoryEvent:
    """An entity answered a call."""
    event = pb.EntityOperationCompletedEvent(requestId=request_id, output=text(output))
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), entityOperationCompleted=event)


def operation_failed(
    at: datetime, request_id: str, failure: pb.TaskFailureDetails
) -> pb.HistoryEvent:
    """An entity's operation raised."""
    event = pb.EntityOperationFailedEvent(requestId=request_id, failureDetails=failure)
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), entityOperationFailed=event)


def lock_granted(at: datetime, section_id: str) -> pb.HistoryEvent:
    """All entities of a critical section are held."""
    event = pb.EntityLockGrantedEvent(criticalSectionId=section_id)
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), entityLockGranted=event)


def signal(
    at: datetime,
    target_id: str,
    request_id: str,
    asked: pb.SignalEntityRequest | pb.SendSignalAction,
) -> pb.HistoryEvent:
    """An operation that nobody waits for."""
    event = pb.EntityOperationSignaledEvent(
        requestId=request_id,
        operation=asked.name,
        input=asked.input if asked.HasField("input") else None,
        scheduledTime=asked.scheduledTime if asked.HasField("scheduledTime") else None,
        targetInstanceId=text(target_id),
    )
    return pb.HistoryEvent(eventId=NO_ID, timestamp=stamp(at), entityOperationSignaled=event)
