"""Builds history events. Times are whole microseconds since 1970 (UTC), as stored."""

from datetime import UTC, datetime

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.scheduler.engine.limits import InvalidValue

_NO_ID = -1  # the id of events that no action of an orchestrator caused
# The protocol's own bounds of a time: the years 1 to 9999.
_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_799


def micros(moment: datetime) -> int:
    """Return a moment as whole microseconds since 1970."""
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def moment(at: int) -> datetime:
    """Return stored microseconds as a moment in UTC."""
    return datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=at % 1_000_000)


def timestamp(at: int) -> Timestamp:
    """Return stored microseconds as the protocol's timestamp."""
    return Timestamp(seconds=at // 1_000_000, nanos=at % 1_000_000 * 1000)


def from_timestamp(stamp: Timestamp) -> int:
    """Return the protocol's timestamp as stored microseconds.

    Raises:
        InvalidValue: it is no time that the protocol allows.
    """
    if not (_FIRST_SECOND <= stamp.seconds <= _LAST_SECOND and 0 <= stamp.nanos < 1_000_000_000):
        raise InvalidValue(
            f"{stamp.seconds} seconds and {stamp.nanos} nanoseconds since 1970 are no time: "
            "it lies in the years 1 to 9999, and has 0 to 999999999 nanoseconds"
        )
    return stamp.seconds * 1_000_000 + stamp.nanos // 1000


def text(value: str | None) -> StringValue | None:
    """Return a text as the protocol's optional text."""
    return None if value is None else StringValue(value=value)


def orchestrator_started(at: int) -> pb.HistoryEvent:
    """The first event of every turn: its timestamp is the time the orchestrator sees."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        orchestratorStarted=pb.OrchestratorStartedEvent(),
    )


def orchestrator_completed(at: int) -> pb.HistoryEvent:
    """The last event of a turn."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        orchestratorCompleted=pb.OrchestratorCompletedEvent(),
    )


def execution_started(at: int, started: pb.ExecutionStartedEvent) -> pb.HistoryEvent:
    """The first event of a generation."""
    return pb.HistoryEvent(eventId=_NO_ID, timestamp=timestamp(at), executionStarted=started)


def execution_completed(
    at: int,
    status: pb.OrchestrationStatus,
    result: str | None,
    failure: pb.TaskFailureDetails | None,
) -> pb.HistoryEvent:
    """The last event of a finished instance."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        executionCompleted=pb.ExecutionCompletedEvent(
            orchestrationStatus=status, result=text(result), failureDetails=failure
        ),
    )


def execution_terminated(at: int, output: str | None, *, recurse: bool) -> pb.HistoryEvent:
    """Someone ended the instance."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        executionTerminated=pb.ExecutionTerminatedEvent(input=text(output), recurse=recurse),
    )


def execution_suspended(at: int, reason: str | None) -> pb.HistoryEvent:
    """Someone paused the instance."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        executionSuspended=pb.ExecutionSuspendedEvent(input=text(reason)),
    )


def execution_resumed(at: int, reason: str | None) -> pb.HistoryEvent:
    """Someone let a paused instance go on."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        executionResumed=pb.ExecutionResumedEvent(input=text(reason)),
    )


def execution_rewound(
    at: int, reason: str | None, parent_execution_id: str | None
) -> pb.HistoryEvent:
    """Someone sends a failed instance back to before its failure."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        executionRewound=pb.ExecutionRewoundEvent(
            reason=text(reason), parentExecutionId=text(parent_execution_id)
        ),
    )


def event_raised(at: int, name: str, data: str | None) -> pb.HistoryEvent:
    """Something outside told the instance something."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        eventRaised=pb.EventRaisedEvent(name=name, input=text(data)),
    )


def task_completed(at: int, task_id: int, result: StringValue | None) -> pb.HistoryEvent:
    """An activity returned."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        taskCompleted=pb.TaskCompletedEvent(taskScheduledId=task_id, result=result),
    )


def task_failed(at: int, task_id: int, failure: pb.TaskFailureDetails) -> pb.HistoryEvent:
    """An activity raised."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        taskFailed=pb.TaskFailedEvent(taskScheduledId=task_id, failureDetails=failure),
    )


def timer_fired(at: int, timer_id: int, fire_at: Timestamp) -> pb.HistoryEvent:
    """A durable timer is due; `at` is the time it was set for."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        timerFired=pb.TimerFiredEvent(fireAt=fire_at, timerId=timer_id),
    )


def child_completed(at: int, task_id: int, result: str | None) -> pb.HistoryEvent:
    """A sub-orchestration returned."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        subOrchestrationInstanceCompleted=pb.SubOrchestrationInstanceCompletedEvent(
            taskScheduledId=task_id, result=text(result)
        ),
    )


def child_failed(at: int, task_id: int, failure: pb.TaskFailureDetails) -> pb.HistoryEvent:
    """A sub-orchestration failed, was terminated, or could not be started."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        subOrchestrationInstanceFailed=pb.SubOrchestrationInstanceFailedEvent(
            taskScheduledId=task_id, failureDetails=failure
        ),
    )


def operation_completed(at: int, request_id: str, output: StringValue | None) -> pb.HistoryEvent:
    """An entity answered a call."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        entityOperationCompleted=pb.EntityOperationCompletedEvent(
            requestId=request_id, output=output
        ),
    )


def operation_failed(at: int, request_id: str, failure: pb.TaskFailureDetails) -> pb.HistoryEvent:
    """An entity's operation raised."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        entityOperationFailed=pb.EntityOperationFailedEvent(
            requestId=request_id, failureDetails=failure
        ),
    )


def lock_granted(at: int, critical_section_id: str) -> pb.HistoryEvent:
    """All entities of a critical section are held."""
    return pb.HistoryEvent(
        eventId=_NO_ID,
        timestamp=timestamp(at),
        entityLockGranted=pb.EntityLockGrantedEvent(criticalSectionId=critical_section_id),
    )
