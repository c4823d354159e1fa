"""What workers hold: each lease by its completion token, and by whom it is for."""

import itertools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.dispatch.streams import Kind, WorkerStream
from local_runtime.scheduler.storage.effects import ReadyTask
from local_runtime.scheduler.storage.entities import Batch
from local_runtime.scheduler.storage.turns import Turn

type Work = Turn | Batch | ReadyTask


@dataclass(frozen=True, slots=True)
class Lease:
    """Work that one worker holds until it completes it, gives it back, or is lost."""

    token: str
    kind: Kind
    target_id: str
    work: Work
    stream: WorkerStream
    size: int  # bytes of the message that the worker gets
    since: float  # when it was handed out, in the loop's time
    parts: list[pb.OrchestratorResponse] = field(default_factory=list[pb.OrchestratorResponse])


@dataclass(frozen=True, slots=True)
class TaskToken:
    """The completion token of an activity: it says which task it is for.

    So a result counts though the scheduler has been restarted since, as long as the task waits for
    one: the model call behind it need not be made, and paid, again. Keys of tasks are never used
    twice. A turn or a batch depends on what the scheduler knew of it: it is handed out again.
    """

    process: str  # of the scheduler that handed it out
    number: int  # among all that this process handed out
    task_key: int
    task_id: int
    execution_id: str

    def __str__(self) -> str:
        numbers = f"{self.number}:{self.task_key}:{self.task_id}"
        return f"task:{self.process}:{numbers}:{self.execution_id}"

    @classmethod
    def parse(cls, token: str) -> "TaskToken | None":
        """Read a token; None when it is another one, or none at all."""
        kind, _, rest = token.partition(":")
        fields = rest.split(":", 4)
        if kind != "task" or len(fields) != 5:
            return None
        process, number, task_key, task_id, execution_id = fields
        try:
            return cls(process, int(number), int(task_key), int(task_id), execution_id)
        except ValueError:
            return None


class Leases:
    """The leases of one task hub; they are not stored, and a crash ends them all."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self.process = new_id()
        self._new_id = new_id
        self._numbers = itertools.count(1)
        self._by_token: dict[str, Lease] = {}
        self._of_target: defaultdict[str, set[str]] = defaultdict(set)
        self._of_stream: defaultdict[WorkerStream, dict[str, Lease]] = defaultdict(dict)

    def __bool__(self) -> bool:
        """Whether any worker holds anything."""
        return bool(self._by_token)

    def new_token(self, work: Work) -> str:
        """Return a completion token that was never given before."""
        if not isinstance(work, ReadyTask):
            return self._new_id()
        number = next(self._numbers)
        return str(TaskToken(self.process, number, work.task_key, work.task_id, work.execution_id))

    def begin(self, lease: Lease) -> None:
        """From now on the worker holds it."""
        self._by_token[lease.token] = lease
        self._of_target[lease.target_id].add(lease.token)
        self._of_stream[lease.stream][lease.token] = lease
        lease.stream.held[lease.kind] += 1

    def end(self, lease: Lease) -> None:
        """The worker holds it no more, and its token is void."""
        del self._by_token[lease.token]
        tokens = self._of_target[lease.target_id]
        tokens.discard(lease.token)
        if not tokens:
            del self._of_target[lease.target_id]
        held = self._of_stream[lease.stream]
        del held[lease.token]
        if not held:
            del self._of_stream[lease.stream]
        lease.stream.held[lease.kind] -= 1

    def find(self, token: str, kind: Kind) -> Lease | None:
        """Return a lease by its token; None for a stale one, or one for work of another kind."""
        lease = self._by_token.get(token)
        return lease if lease is not None and lease.kind is kind else None

    def of_stream(self, stream: WorkerStream) -> list[Lease]:
        """Return all that one worker holds, the oldest first."""
        return list(self._of_stream.get(stream, {}).values())

    def count(self, target_id: str) -> int:
        """How many leases there are of one instance or entity, its activities among them."""
        return len(self._of_target.get(target_id, ()))

    def of_target(self, target_id: str) -> list[Lease]:
        """Return the leases of one instance or entity, its activities among them."""
        return [self._by_token[token] for token in self._of_target.get(target_id, ())]
