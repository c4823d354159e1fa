"""Which workers gave which work back: others are asked first, and then the one asked longest ago.

A worker that cannot do a piece of work would otherwise get it again and again, as long as it is the
least loaded, while another that could do it stands idle.
"""

from collections.abc import Sequence

from local_runtime.scheduler.dispatch.leases import Lease, Work
from local_runtime.scheduler.dispatch.streams import WorkerStream
from local_runtime.scheduler.storage.effects import ReadyTask

type _Key = tuple[str, int | None]


class GivenBack:
    """Remembers, for work that is still to be done, the streams that gave it back."""

    def __init__(self) -> None:
        self._by_work: dict[_Key, list[WorkerStream]] = {}

    def add(self, lease: Lease) -> None:
        """A worker gave its work back."""
        streams = self._by_work.setdefault(_key(lease.target_id, lease.work), [])
        if lease.stream in streams:
            streams.remove(lease.stream)
        streams.append(lease.stream)

    def by(self, target_id: str, work: Work) -> Sequence[WorkerStream]:
        """Return who gave this work back, the longest ago first."""
        return self._by_work.get(_key(target_id, work), ()) if self._by_work else ()

    def is_void(self, lease: Lease) -> bool:
        """Whether work that was given back has become void since."""
        return _key(lease.target_id, lease.work) not in self._by_work

    def done(self, lease: Lease) -> None:
        """The work is done."""
        if self._by_work:
            self._by_work.pop(_key(lease.target_id, lease.work), None)

    def drop_target(self, target_id: str) -> None:
        """The work of this instance or entity is void."""
        for key in [key for key in self._by_work if key[0] == target_id]:
            del self._by_work[key]

    def drop_stream(self, stream: WorkerStream) -> None:
        """A worker is gone."""
        for streams in self._by_work.values():
            if stream in streams:
                streams.remove(stream)


def _key(target_id: str, work: Work) -> _Key:
    # A target has one turn or batch at a time, but any number of activities.
    return target_id, work.task_key if isinstance(work, ReadyTask) else None
