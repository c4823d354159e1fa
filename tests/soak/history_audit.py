"""What has to hold in each history: nothing is answered twice, or without having been asked."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from durabletask import history

from local_runtime.scheduler.engine.status import from_proto

# For events that ask something and those that answer it: what it is, and where its name stands.
_ASKS = {
    history.TaskScheduledEvent: ("task", "event_id"),
    history.TimerCreatedEvent: ("timer", "event_id"),
    history.SubOrchestrationInstanceCreatedEvent: ("child", "event_id"),
    history.EntityOperationCalledEvent: ("operation", "request_id"),
    history.EntityLockRequestedEvent: ("lock", "critical_section_id"),
}
_ANSWERS = {
    history.TaskCompletedEvent: ("task", "task_scheduled_id"),
    history.TaskFailedEvent: ("task", "task_scheduled_id"),
    history.TimerFiredEvent: ("timer", "timer_id"),
    history.SubOrchestrationInstanceCompletedEvent: ("child", "task_scheduled_id"),
    history.SubOrchestrationInstanceFailedEvent: ("child", "task_scheduled_id"),
    history.EntityOperationCompletedEvent: ("operation", "request_id"),
    history.EntityOperationFailedEvent: ("operation", "request_id"),
    history.EntityLockGrantedEvent: ("lock", "critical_section_id"),
}


def history_faults(
    instance_id: str, status: str, events: Iterable[history.HistoryEvent]
) -> list[str]:
    """Return what cannot be in the history of a finished instance; nothing for a sound one."""
    reader = _Reader()
    for event in events:
        reader.read(event)
    reader.finish(status)
    return [f"{instance_id} ({status}): {fault}" for fault in reader.faults]


@dataclass
class _Reader:
    """Goes through a history and notes what is outstanding."""

    faults: list[str] = field(default_factory=list)
    outstanding: set[tuple[str, object]] = field(default_factory=set)
    begun: int = 0
    turn: list[history.HistoryEvent] | None = None  # the events of the turn that has not ended
    ends: list[str] = field(default_factory=list)

    def read(self, event: history.HistoryEvent) -> None:
        if self.ends:
            self.faults.append(f"{_kind(event)} after the end")
        match event:
            case history.OrchestratorStartedEvent():
                self._begin_turn()
            case history.OrchestratorCompletedEvent():
                self._end_turn()
            case history.ExecutionCompletedEvent():
                self._end(event)
            case _:
                self._read_within(event)

    def _begin_turn(self) -> None:
        # The turn in which a worker cleaned the history of a rewound instance has no end: its
        # answer is the history itself.
        if self.turn is not None and not _is_rewind(self.turn):
            self.faults.append("a turn began in another")
        self.turn = []

    def _end_turn(self) -> None:
        if self.turn is None:
            self.faults.append("a turn ended that had not begun")
        self.turn = None

    def _end(self, event: history.ExecutionCompletedEvent) -> None:
        if self.turn is not None:
            self.faults.append("the end came within a turn")
        ended = from_proto(event.orchestration_status)
        self.ends.append(ended.value if ended is not None else "nothing")

    def _read_within(self, event: history.HistoryEvent) -> None:
        if self.turn is None:
            self.faults.append(f"{_kind(event)} outside of a turn")
        else:
            self.turn.append(event)
        self.begun += isinstance(event, history.ExecutionStartedEvent)
        if not self.begun:
            self.faults.append(f"{_kind(event)} before the start")
        if (asks := _ASKS.get(type(event))) is not None:
            question = (asks[0], getattr(event, asks[1]))
            if question in self.outstanding:
                self.faults.append(f"{_kind(event)} {question[1]} twice")
            self.outstanding.add(question)
        elif (answers := _ANSWERS.get(type(event))) is not None:
            question = (answers[0], getattr(event, answers[1]))
            if question not in self.outstanding:
                self.faults.append(f"{_kind(event)} of {question[1]}, which is not outstanding")
            self.outstanding.discard(question)

    def finish(self, status: str) -> None:
        if self.begun != 1:
            self.faults.append(f"{self.begun} starts")
        if self.turn is not None:
            self.faults.append("the last turn has not ended")
        if self.ends != [status]:
            self.faults.append(f"it ended as {self.ends}")


def _kind(event: history.HistoryEvent) -> str:
    return type(event).__name__.removesuffix("Event")


def _is_rewind(turn: list[history.HistoryEvent]) -> bool:
    return len(turn) == 1 and isinstance(turn[0], history.ExecutionRewoundEvent)
