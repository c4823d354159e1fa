"""One worker's stream of work items: what it may take, what it holds, and whether it answers."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
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

# What a gRPC client receives unless it is told otherwise; a larger message ends its stream.
PLAIN_BYTES = 4 * 1024 * 1024


class WorkerStream:
    """The sending side of one GetWorkItems call.

    A limit of 0 means no limit, as clients that leave a limit unset expect.
    """

    def __init__(
        self,
        request: pb.GetWorkItemsRequest,
        send: Callable[[bytes], None],
        *,
        name: str = "",
        takes_bytes: int | None = None,
        connected_at: datetime | None = None,
    ) -> None:
        self.held: Counter[Kind] = Counter()
        self.send = send  # a serialized WorkItem, to the worker
        self.number = 0  # among the workers of the hub, from 1
        self.name = name  # what the worker says of itself
        self.takes_bytes = takes_bytes  # the largest message, where the worker says so
        self.taken_bytes = PLAIN_BYTES  # the largest one that it has taken, or may be sent freely
        self.connected_at = connected_at
        self.answered_at: datetime | None = None
        self.answered = 0.0  # when it last answered, in the loop's time
        # It holds a turn or a batch for a while, and has answered nothing meanwhile.
        self.is_silent = False
        # It holds an item that has broken streams: nothing else goes out before that is answered.
        self.is_alone = False
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

    @property
    def is_idle(self) -> bool:
        """Whether the worker holds nothing."""
        return not any(self.held.values())

    def free(self, kind: Kind) -> int | None:
        """Return how many more items of a kind the worker takes; None for any number."""
        if self.is_alone:
            return 0
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

    def takes(self, size: int) -> bool | None:
        """Whether the worker takes a message of so many bytes; None where that is not known."""
        if size <= self.taken_bytes:
            return True
        return None if self.takes_bytes is None else size <= self.takes_bytes

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


def _versions(
    filters: Iterable[pb.OrchestrationFilter | pb.ActivityFilter],
) -> dict[str, frozenset[str]]:
    return {entry.name.lower(): frozenset(entry.versions) for entry in filters}
