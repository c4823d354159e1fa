"""Orchestration instances as the test's scheduler keeps them."""

from dataclasses import dataclass, field
from datetime import datetime

from durabletask.internal import orchestrator_service_pb2 as pb

TERMINAL = frozenset(
    {
        pb.ORCHESTRATION_STATUS_COMPLETED,
        pb.ORCHESTRATION_STATUS_FAILED,
        pb.ORCHESTRATION_STATUS_TERMINATED,
    }
)


@dataclass(frozen=True)
class Turn:
    """What a turn was told, and what the orchestrator did in it.

    Attributes:
        past: The history before the turn.
        news: The new events.
        actions: What the orchestrator asked for.
    """

    past: list[pb.HistoryEvent]
    news: list[pb.HistoryEvent]
    actions: list[pb.OrchestratorAction]


@dataclass
class Execution:
    """An instance between its start, or a continue-as-new, and its end or the next one.

    Attributes:
        id: The execution id.
        started: Its first event.
        past: The history.
        turns: The turns that made the history; the last one of an execution that was continued as
            new is in no history.
    """

    id: str
    started: pb.ExecutionStartedEvent
    past: list[pb.HistoryEvent] = field(default_factory=list[pb.HistoryEvent])
    turns: list[Turn] = field(default_factory=list[Turn])


@dataclass(frozen=True)
class Received:
    """An event in an inbox, and the round of work in which it came."""

    event: pb.HistoryEvent
    round: int

    @property
    def place(self) -> tuple[int, int, int]:
        """Where it stands: results of one round come in the order in which they were asked for.

        Which of two activities was a little faster then makes no difference between two runs.
        """
        match self.event.WhichOneof("eventType"):
            case "taskCompleted":
                return self.round, 1, self.event.taskCompleted.taskScheduledId
            case "taskFailed":
                return self.round, 1, self.event.taskFailed.taskScheduledId
            case _:
                return self.round, 0, 0


@dataclass
class Instance:
    """One orchestration.

    Attributes:
        id: The instance id.
        created_at: When it was accepted.
        status: Where it stands.
        inbox: What it has not been told yet.
        executions: All that it has gone through; the last one is the present one.
        due: When it is to start, if that was said.
        suspended: Whether someone has paused it.
        custom_status: What the orchestrator says of itself, a JSON text.
        output: What it ended with, a JSON text.
        failure: Why it failed.
        updated_at: When it changed last.
        completed_at: When it ended.
    """

    id: str
    created_at: datetime
    executions: list[Execution]
    status: pb.OrchestrationStatus = pb.ORCHESTRATION_STATUS_PENDING
    inbox: list[Received] = field(default_factory=list[Received])
    due: datetime | None = None
    suspended: bool = False
    custom_status: str | None = None
    output: str | None = None
    failure: pb.TaskFailureDetails | None = None
    updated_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def execution(self) -> Execution:
        """The present execution."""
        return self.executions[-1]

    @property
    def name(self) -> str:
        """The orchestrator's name."""
        return self.execution.started.name

    @property
    def parent(self) -> pb.ParentInstanceInfo | None:
        """The task that waits for it, if it is a sub-orchestration."""
        started = self.execution.started
        return started.parentInstance if started.HasField("parentInstance") else None

    @property
    def parent_id(self) -> str:
        """The instance id of its parent, or an empty text."""
        return self.parent.orchestrationInstance.instanceId if self.parent is not None else ""

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self.status in TERMINAL

    @property
    def reference(self) -> pb.OrchestrationInstance:
        """What others are told of it, to answer."""
        found = pb.OrchestrationInstance(instanceId=self.id)
        found.executionId.value = self.execution.id
        return found

    def next_turn(self) -> list[Received]:
        """Return what the next turn tells it; empty if there is none to be run."""
        waiting = sorted(self.inbox, key=lambda received: received.place)
        if not self.execution.past:
            waiting = [] if self.suspended else _beginning(waiting)
        return _before_suspension(waiting) if self.suspended else waiting


def _beginning(waiting: list[Received]) -> list[Received]:
    """Put the start first; without it, because it is for later, nothing runs."""
    starts = [received for received in waiting if received.event.HasField("executionStarted")]
    rest = [received for received in waiting if not received.event.HasField("executionStarted")]
    return [*starts, *rest] if starts else []


def _before_suspension(waiting: list[Received]) -> list[Received]:
    """Return what a turn takes before a suspension, which gets a turn of its own.

    The SDK sets aside all that follows a suspension in a history. What it decides in the turn that
    the suspension comes with is recorded behind it, and would be decided again in each turn.
    """
    for index in reversed(range(len(waiting))):
        if waiting[index].event.HasField("executionSuspended"):
            return waiting[:index] if index > 0 else waiting
    return waiting
