"""Reads the steps of one orchestration out of its history. Pure: `run_progress` shows them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp


class StepState(Enum):
    """How far a step is."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class Step:
    """One activity, sub-orchestration, timer or wait of an orchestration."""

    name: str
    state: StepState
    started_at: datetime
    ended_at: datetime | None = None

    def seconds(self, now: datetime) -> float:
        """How long the step took, or has taken until `now`."""
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds())


def steps_of(history: Iterable[pb.HistoryEvent]) -> list[Step]:
    """Return the steps in the order they were started; what ended says so."""
    steps: list[Step] = []
    open_steps: dict[tuple[str, int], int] = {}
    for event in history:
        kind = event.WhichOneof("eventType")
        moment = _moment(event.timestamp)
        if (begun := _begun(kind, event)) is not None:
            family, name = begun
            open_steps[family, event.eventId] = len(steps)
            steps.append(Step(name, StepState.RUNNING, moment))
        elif (ended := _ended(kind, event)) is not None:
            family, number, state = ended
            place = open_steps.pop((family, number), None)
            if place is not None:
                steps[place] = replace(steps[place], state=state, ended_at=moment)
    return steps


def _begun(kind: str | None, event: pb.HistoryEvent) -> tuple[str, str] | None:
    match kind:
        case "taskScheduled":
            return "task", event.taskScheduled.name
        case "subOrchestrationInstanceCreated":
            return "child", event.subOrchestrationInstanceCreated.name
        case "timerCreated":
            due = _moment(event.timerCreated.fireAt)
            return "timer", f"timer until {due:%H:%M:%S} UTC"
        case _:
            return None


def _ended(kind: str | None, event: pb.HistoryEvent) -> tuple[str, int, StepState] | None:
    match kind:
        case "taskCompleted":
            return "task", event.taskCompleted.taskScheduledId, StepState.COMPLETED
        case "taskFailed":
            return "task", event.taskFailed.taskScheduledId, StepState.FAILED
        case "subOrchestrationInstanceCompleted":
            number = event.subOrchestrationInstanceCompleted.taskScheduledId
            return "child", number, StepState.COMPLETED
        case "subOrchestrationInstanceFailed":
            number = event.subOrchestrationInstanceFailed.taskScheduledId
            return "child", number, StepState.FAILED
        case "timerFired":
            return "timer", event.timerFired.timerId, StepState.COMPLETED
        case _:
            return None


def _moment(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)
