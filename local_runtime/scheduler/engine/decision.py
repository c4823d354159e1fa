"""What the engine decides: plain facts for storage to write in one transaction."""

from dataclasses import dataclass, field

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine.status import Status


class InvalidResponse(Exception):
    """A worker's answer makes no sense; the message says which part of it."""


@dataclass(frozen=True, slots=True)
class Generation:
    """The run of an instance between its start (or continue-as-new) and its end.

    `started` is its first event, without the input.
    """

    instance_id: str
    execution_id: str
    started: pb.ExecutionStartedEvent


@dataclass(frozen=True, slots=True)
class Task:
    """An activity to run."""

    task_id: int
    request: pb.ActivityRequest


@dataclass(frozen=True, slots=True)
class Message:
    """An event for an instance's or an entity's inbox; `due_at` delays it (microseconds)."""

    target_id: str
    event: pb.HistoryEvent
    due_at: int | None = None
    # Set where the message is for one generation only: a later one must not see it.
    execution_id: str | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """An instance to start; `task_id` is the parent's task that waits for it."""

    instance_id: str
    started: pb.ExecutionStartedEvent
    due_at: int | None = None
    task_id: int | None = None


@dataclass(frozen=True, slots=True)
class Termination:
    """Another instance to end."""

    instance_id: str
    output: str | None
    recurse: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a generation ended for good."""

    status: Status
    output: str | None
    failure: pb.TaskFailureDetails | None


@dataclass(frozen=True, slots=True)
class Continuation:
    """The generation that follows: its first event, and events it takes along, in order."""

    started: pb.ExecutionStartedEvent
    carryover: list[pb.HistoryEvent]


@dataclass(frozen=True, slots=True)
class Rewind:
    """A failed generation goes on from a history that a worker has cleaned of its failures."""

    history: list[pb.HistoryEvent]


type End = Outcome | Continuation | Rewind


@dataclass(slots=True)
class Decision:
    """The consequences of one turn of an orchestrator."""

    recorded: list[pb.HistoryEvent] = field(default_factory=list[pb.HistoryEvent])
    tasks: list[Task] = field(default_factory=list[Task])
    messages: list[Message] = field(default_factory=list[Message])
    starts: list[Start] = field(default_factory=list[Start])
    terminations: list[Termination] = field(default_factory=list[Termination])
    end: End | None = None
