"""One worker's stream of work items: what it may take, and what it holds."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from durabletask.internal import orchestrator_service_pb2 as pb


class Kind(StrEnum):
    """The kinds of work a worker takes."""

    ORCHESTRATION = "orchestration"
    ACTIVITY = "activity"
    ENTITY = "entity"


# A turn computes and does not wait, so a worker given many at once only splits up what would
# have come together: events that arrive while an instance queues here make one turn of it.
MAX_TURNS = 16


class WorkerStream:
    """The sending side of one GetWorkItems call.

    A limit of 0 means no limit, as clients that leave a limit unset expect.
    """

    def __init__(self, request: pb.GetWorkItemsRequest, send: Callable[[bytes], None]) -> None:
        self.held: Counter[Kind] = Counter()
        self.send = send  # a serialized WorkItem, to the worker
        self._ended = asyncio.Event()
        # Such a worker asks for the history of each turn on a stream of its own.
        self.streams_history = pb.WORKER_CAPABILITY_HISTORY_STREAMING in request.capabilities
        self._limits = {
            Kind.ORCHESTRATION: min(
                request.maxConcurrentOrchestrationWorkItems or MAX_TURNS, MAX_TURNS
            ),
            Kind.ACTIVITY: request.maxConcurrentActivityWorkItems,
            Kind.ENTITY: request.maxConcurrentEntityWorkItems,
        }
        self._filters: dict[Kind, dict[str, frozenset[str]]] | None = None
        if request.HasField("workItemFilters"):
            filters = request.workItemFilters
            self._filters = {
                Kind.ORCHESTRATION: _versions(filters.orchestrations),
                Kind.ACTIVITY: _versions(filters.activities),
                Kind.ENTITY: {entity.name.lower(): frozenset() for entity in filters.entities},
            }

    def free(self, kind: Kind) -> int | None:
        """Return how many more items of a kind the worker takes; None for any number."""
        limit = self._limits[kind]
        return None if limit <= 0 else max(0, limit - self.held[kind])

    def wants(self, kind: Kind, name: str, version: str | None) -> bool:
        """Whether the worker's filters let an item through.

        Without filters everything passes; with filters, a kind that lists no name takes nothing,
        and a name that lists no version takes every version.
        """
        if self._filters is None:
            return True
        versions = self._filters[kind].get(name.lower())
        return versions is not None and (not versions or (version or "") in versions)

    def end(self) -> None:
        """Let the stream end, whatever is still queued."""
        self._ended.set()

    async def ends_within(self, seconds: float) -> bool:
        """Wait for the stream's end for so many seconds; whether it has come."""
        try:
            async with asyncio.timeout(seconds):
                return await self._ended.wait()
        except TimeoutError:
            return False


def room_for(streams: Iterable[WorkerStream], kind: Kind) -> int | None:
    """Return how many more items of a kind all workers take; None for any number."""
    room = 0
    for stream in streams:
        free = stream.free(kind)
        if free is None:
            return None
        room += free
    return room


def least_loaded(
    streams: Iterable[WorkerStream],
    kind: Kind,
    name: str,
    version: str | None,
    avoiding: Sequence[WorkerStream] = (),
) -> WorkerStream | None:
    """Return the least loaded worker that has room and wants the item.

    One of those to be avoided is returned only when there is no other: the first of them.
    """
    best: WorkerStream | None = None
    best_rank = (0, 0)
    for stream in streams:
        if stream.free(kind) == 0 or not stream.wants(kind, name, version):
            continue
        rank = (avoiding.index(stream) + 1 if stream in avoiding else 0, stream.held[kind])
        if best is None or rank < best_rank:
            best, best_rank = stream, rank
    return best


def _versions(
    filters: Iterable[pb.OrchestrationFilter | pb.ActivityFilter],
) -> dict[str, frozenset[str]]:
    return {entry.name.lower(): frozenset(entry.versions) for entry in filters}
