"""Entities as the test's scheduler keeps them: their state, their queue, and who has locked them.

A lock request goes through its lock set in order: each entity takes it when it comes to the head of
the queue, and passes it on; the last one tells the orchestration. While an entity is locked, only
calls of the lock's holder reach it, and everything else waits in its place.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from durabletask.internal import orchestrator_service_pb2 as pb

from durable_agents.testing import events


@dataclass(frozen=True)
class Lock:
    """Who has locked an entity, and for which critical section."""

    holder: str
    section: str


@dataclass(frozen=True)
class Answer:
    """An event for someone: an orchestration, of this execution if it says one, or an entity."""

    target: str
    event: pb.HistoryEvent
    execution: str | None = None


@dataclass
class Entity:
    """One entity.

    Attributes:
        id: `@name@key`, the name in lower case.
        state: Its state, a JSON text; None for an entity that is not there.
        lock: Who has locked it.
        queue: Operations, lock requests and unlocks, the oldest first.
        modified_at: When its state or lock changed last.
    """

    id: str
    state: str | None = None
    lock: Lock | None = None
    queue: list[pb.HistoryEvent] = field(default_factory=list[pb.HistoryEvent])
    modified_at: datetime | None = None

    @property
    def has_work(self) -> bool:
        """Whether there is something to do: a lock to take or release, or an operation."""
        return self._next_lock_event() is not None or bool(self.batch())

    def settle_locks(self, is_wanted: Callable[[Lock], bool], now: datetime) -> list[Answer]:
        """Take and release locks as far as operations before them are done; return who to tell."""
        told: list[Answer] = []
        while (at := self._next_lock_event()) is not None:
            event = self.queue.pop(at)
            if event.HasField("entityUnlockSent"):
                unlock = event.entityUnlockSent
                if self.lock == Lock(unlock.parentInstanceId.value, unlock.criticalSectionId):
                    self.lock = None
                    self.modified_at = now
                continue
            request = event.entityLockRequested
            wanted = Lock(request.parentInstanceId.value, request.criticalSectionId)
            if is_wanted(wanted):
                self.lock = wanted
                self.modified_at = now
                told.append(_passed_on(event, now))
        return told

    def batch(self) -> list[pb.HistoryEvent]:
        """Return the operations that can be done now."""
        found: list[pb.HistoryEvent] = []
        for event in self.queue:
            if event.HasField("entityUnlockSent"):
                break
            if event.HasField("entityLockRequested"):
                if self.lock is None:
                    break
            elif self.lock is None or _is_call_of(event, self.lock.holder):
                found.append(event)
        return found

    def _next_lock_event(self) -> int | None:
        """Return where a lock event stands that nothing has to be done before."""
        for index, event in enumerate(self.queue):
            if event.HasField("entityUnlockSent"):
                return index
            if event.HasField("entityLockRequested"):
                if self.lock is None:
                    return index
            elif self.lock is None or _is_call_of(event, self.lock.holder):
                return None
        return None


def entity_id(text: str) -> str:
    """Return an entity id in its one spelling, or an empty text for what is none."""
    name, separator, key = text[1:].partition("@")
    return f"@{name.lower()}@{key}" if text.startswith("@") and name and separator else ""


def answers(
    batch: list[pb.HistoryEvent], result: pb.EntityBatchResult, now: datetime
) -> list[Answer]:
    """Return what those are told who wait for operations of a batch."""
    told: list[Answer] = []
    for event, outcome in zip(batch, result.results, strict=False):
        if not event.HasField("entityOperationCalled"):
            continue
        called = event.entityOperationCalled
        if outcome.HasField("failure"):
            failure = outcome.failure.failureDetails
            answer = events.operation_failed(now, called.requestId, failure)
        else:
            success = outcome.success
            output = success.result.value if success.HasField("result") else None
            answer = events.operation_completed(now, called.requestId, output)
        told.append(to_caller(called, answer))
    return told


def to_caller(called: pb.EntityOperationCalledEvent, answer: pb.HistoryEvent) -> Answer:
    """Return an answer as one for the execution that made the call."""
    return Answer(called.parentInstanceId.value, answer, called.parentExecutionId.value or None)


def _is_call_of(event: pb.HistoryEvent, holder: str) -> bool:
    called = event.entityOperationCalled
    return event.HasField("entityOperationCalled") and called.parentInstanceId.value == holder


def _passed_on(event: pb.HistoryEvent, now: datetime) -> Answer:
    request = event.entityLockRequested
    following = request.position + 1
    if following >= len(request.lockSet):
        granted = events.lock_granted(now, request.criticalSectionId)
        return Answer(request.parentInstanceId.value, granted)
    onward = pb.HistoryEvent()
    onward.CopyFrom(event)
    onward.entityLockRequested.position = following
    return Answer(entity_id(request.lockSet[following]), onward)
