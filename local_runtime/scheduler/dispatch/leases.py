"""What workers hold: each lease by its completion token, and by whom it is for."""

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
    parts: list[pb.OrchestratorResponse] = field(default_factory=list[pb.OrchestratorResponse])


class Leases:
    """The leases of one task hub; they are not stored, and a crash ends them all."""

    def __init__(self, new_token: Callable[[], str]) -> None:
        self._new_token = new_token
        self._by_token: dict[str, Lease] = {}
        self._of_target: defaultdict[str, set[str]] = defaultdict(set)

    def __bool__(self) -> bool:
        """Whether any worker holds anything."""
        return bool(self._by_token)

    def propose(self, kind: Kind, target_id: str, work: Work, stream: WorkerStream) -> Lease:
        """Make a lease that does not count before `begin`."""
        return Lease(self._new_token(), kind, target_id, work, stream)

    def begin(self, lease: Lease) -> None:
        """From now on the worker holds it."""
        self._by_token[lease.token] = lease
        self._of_target[lease.target_id].add(lease.token)
        lease.stream.held[lease.kind] += 1

    def end(self, lease: Lease) -> None:
        """The worker holds it no more, and its token is void."""
        del self._by_token[lease.token]
        tokens = self._of_target[lease.target_id]
        tokens.discard(lease.token)
        if not tokens:
            del self._of_target[lease.target_id]
        lease.stream.held[lease.kind] -= 1

    def find(self, token: str, kind: Kind) -> Lease | None:
        """Return a lease by its token; None for a stale one, or one for work of another kind."""
        lease = self._by_token.get(token)
        return lease if lease is not None and lease.kind is kind else None

    def of_stream(self, stream: WorkerStream) -> list[Lease]:
        """Return all that one worker holds."""
        return [lease for lease in self._by_token.values() if lease.stream is stream]

    def count(self, target_id: str) -> int:
        """How many leases there are of one instance or entity, its activities among them."""
        return len(self._of_target.get(target_id, ()))

    def of_target(self, target_id: str) -> list[Lease]:
        """Return the leases of one instance or entity, its activities among them."""
        return [self._by_token[token] for token in self._of_target.get(target_id, ())]
