"""Work items that are larger than what a worker may receive.

A gRPC client that gets a message beyond its limit ends the whole stream. The worker comes back, is
handed the same item, and so on: everything else in the task hub would starve. Which limit a worker
has cannot be asked for. So an item beyond what clients receive by default goes to a worker that is
known to take it; where none is known it is tried, and when streams end while it is out, it goes out
alone, and in the end fails, with its size and the limit.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.client import MAX_MESSAGE_BYTES
from local_runtime.scheduler.dispatch.leases import Lease, Work
from local_runtime.scheduler.dispatch.streams import PLAIN_BYTES, Kind, WorkerStream
from local_runtime.scheduler.dispatch.workers import least_loaded
from local_runtime.scheduler.engine.limits import shown
from local_runtime.scheduler.storage import activities, entities, turns
from local_runtime.scheduler.storage.effects import ReadyTask
from local_runtime.scheduler.storage.entities import Batch
from local_runtime.scheduler.storage.transaction import Transaction
from local_runtime.scheduler.storage.turns import Turn

logger = logging.getLogger("local_runtime.scheduler")

FRAME_BYTES = 1024  # of a message: the completion token and the framing
MOST_ENDS = 3
"""So many streams may end with an item before it is given up."""
ALONE_SECONDS = 30.0
"""So long an item that ended a stream waits for a worker that has nothing else."""
_MEBIBYTE = 1024 * 1024
_MOST_TROUBLES = 100

type _Key = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong with an instance or entity, for people."""

    target_id: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Aside:
    """A large item that waits for a worker that takes it, or that has nothing else."""

    kind: Kind
    target_id: str
    work: Work
    since: float


@dataclass(frozen=True, slots=True)
class Place:
    """Who gets an item, and whether nothing else goes there before it is answered."""

    stream: WorkerStream
    alone: bool = False


@dataclass(frozen=True, slots=True)
class TooLarge:
    """No worker takes an item: it has to fail."""

    size: int
    limit: int
    ends: int


class LargeWork:
    """What is known of large items, and of who takes them."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._ends: Counter[_Key] = Counter()  # streams that ended while the item was out
        # Instances and entities of which an item failed so: the next one that is too large fails
        # at once.
        self._given_up: set[str] = set()
        self.aside: list[Aside] = []
        self.troubles: deque[Trouble] = deque(maxlen=_MOST_TROUBLES)

    def suspects(self, target_id: str) -> bool:
        """Whether an item of a target, an activity aside, has ended a stream."""
        return target_id in self._given_up or (target_id, None) in self._ends

    def place(
        self, item: Aside, wanting: Sequence[WorkerStream], now: float
    ) -> Place | TooLarge | None:
        """Return who of the workers that want a large item gets it; None when it has to wait."""
        sizes = {stream: size_for(item.work, stream) for stream in wanting}
        able = [stream for stream, size in sizes.items() if size <= MAX_MESSAGE_BYTES]
        if not able:
            return TooLarge(len(item.work.request), MAX_MESSAGE_BYTES, 0)
        known = [stream for stream in able if stream.takes(sizes[stream]) is True]
        if known:
            return _placed(least_loaded(known, item.kind))
        unknown = [stream for stream in able if stream.takes(sizes[stream]) is None]
        ends = self._ends[_key(item.target_id, item.work)]
        if not unknown or ends >= MOST_ENDS or item.target_id in self._given_up:
            limit = max(stream.takes_bytes or PLAIN_BYTES for stream in able)
            return TooLarge(len(item.work.request), limit, ends)
        idle = least_loaded((stream for stream in unknown if stream.is_idle), item.kind)
        if idle is not None:
            return Place(idle, alone=ends > 0)
        if ends > 0 and now - item.since < ALONE_SECONDS:
            return None
        return _placed(least_loaded(unknown, item.kind))

    def stream_ended(self, stream: WorkerStream, lost: Sequence[Lease]) -> None:
        """A stream ended with these leases: it may have been for a message that was too large."""
        large = [lease for lease in lost if stream.takes(lease.size) is None]
        for lease in large:
            key = _key(lease.target_id, lease.work)
            # Of several any may have been it: each is tried by itself, and only then counted.
            self._ends[key] = self._ends[key] + 1 if len(large) == 1 else max(1, self._ends[key])
            text = (
                f"a {lease.kind.value} work item of {_mebibytes(lease.size)} was out when the "
                f"stream of worker {stream.number} ended ({self._ends[key]} of {MOST_ENDS} times)"
            )
            logger.warning(
                "%s: %s: a client receives %s unless its channel is told otherwise",
                shown(lease.target_id),
                text,
                _mebibytes(PLAIN_BYTES),
            )
            self.note(lease.target_id, text)

    def answered(self, lease: Lease) -> None:
        """A worker has answered an item, which it must have received."""
        lease.stream.taken_bytes = max(lease.size, lease.stream.taken_bytes)
        if self._ends:
            self._ends.pop(_key(lease.target_id, lease.work), None)

    def give_up(self, target_id: str, work: Work, problem: TooLarge) -> str:
        """Take note that an item fails; return the message."""
        self._ends.pop(_key(target_id, work), None)
        if problem.ends and not isinstance(work, ReadyTask):
            self._given_up.add(target_id)
        text = explain(work, problem)
        logger.error("%s: %s fails: %s", shown(target_id), _what(work), text)
        self.note(target_id, f"{_what(work)} failed: {text}")
        return text

    def drop_target(self, target_id: str) -> None:
        """The work of this instance or entity is void."""
        self._given_up.discard(target_id)
        for key in [key for key in self._ends if key[0] == target_id]:
            del self._ends[key]
        self.aside = [item for item in self.aside if item.target_id != target_id]

    def note(self, target_id: str, text: str) -> None:
        """Keep what went wrong for people to see."""
        self.troubles.append(Trouble(target_id, text, self._now()))


def _placed(stream: WorkerStream | None) -> Place | None:
    return Place(stream) if stream is not None else None


def size_for(work: Work, stream: WorkerStream) -> int:
    """Return about how large the message is that a worker gets; never less."""
    if stream.streams_history and isinstance(work, Turn):
        return len(work.without_history()) + FRAME_BYTES
    return len(work.request) + FRAME_BYTES


def explain(work: Work, problem: TooLarge) -> str:
    """Say why work fails, and what helps."""
    advice = "Keep large data elsewhere, and pass on where it is"
    if isinstance(work, Turn):
        advice = "Continue as new before the history grows so large"
    ended = f" ({problem.ends} streams ended when it was sent)" if problem.ends else ""
    return (
        f"What a worker would have to be sent has {_mebibytes(problem.size)}, and a message has at "
        f"most {_mebibytes(problem.limit)}{ended}. {advice}, or let the worker's channel receive "
        "more."
    )


def failing(work: Work, text: str) -> Callable[[Transaction], bool]:
    """Return the step that fails work, in a worker's stead."""
    failure = pb.TaskFailureDetails(
        errorType="WorkItemTooLarge", errorMessage=text, isNonRetriable=True
    )
    if isinstance(work, Turn):
        end = pb.CompleteOrchestrationAction(
            orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=failure
        )
        action = pb.OrchestratorAction(id=-1, completeOrchestration=end)
        answer = pb.OrchestratorResponse(instanceId=work.instance_id, actions=[action])
        return lambda tx: turns.commit(tx, work, answer)
    if isinstance(work, Batch):
        result = pb.EntityBatchResult(failureDetails=failure)
        return lambda tx: entities.commit(tx, work, result)
    return lambda tx: activities.complete(tx, work, pb.ActivityResponse(failureDetails=failure))


def _what(work: Work) -> str:
    if isinstance(work, Turn):
        return "the orchestration"
    if isinstance(work, Batch):
        return f"{len(work.operations)} operation(s) of the entity"
    return f"activity {shown(work.name)} (task {work.task_id})"


def _mebibytes(size: int) -> str:
    return f"{size / _MEBIBYTE:.1f} MiB"


def _key(target_id: str, work: Work) -> _Key:
    return target_id, work.task_key if isinstance(work, ReadyTask) else None
