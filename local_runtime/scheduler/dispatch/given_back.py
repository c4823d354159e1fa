"""Which workers gave which work back: others are asked first, and then the one asked longest ago.

A worker that cannot do a piece of work would otherwise get it again and again, as long as it is the
least loaded, while another that could do it stands idle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from local_runtime.scheduler.dispatch.leases import Lease, Work
from local_runtime.scheduler.dispatch.streams import WorkerStream
from local_runtime.scheduler.storage.effects import ReadyTask

type _Key = tuple[str, int | None]


@dataclass(slots=True)
class _Returned:
    streams: list[WorkerStream] = field(default_factory=list[WorkerStream])  # the last one last
    void: set[str] = field(default_factory=set[str])  # tokens whose results count no more
    good: set[str] = field(default_factory=set[str])  # those whose results the disk did not take


class GivenBack:
    """Remembers, for work that is still to be done, the streams that gave it back."""

    def __init__(self) -> None:
        self._by_work: dict[_Key, _Returned] = {}

    def add(self, lease: Lease, *, is_void: bool) -> None:
        """Work came back; with `is_void`, a result under its token counts no more.

        Without, the result was there and could not be recorded: it counts when it comes again.
        """
        returned = self._by_work.setdefault(_key(lease.target_id, lease.work), _Returned())
        (returned.void if is_void else returned.good).add(lease.token)
        if lease.stream in returned.streams:
            returned.streams.remove(lease.stream)
        returned.streams.append(lease.stream)

    def by(self, target_id: str, work: Work) -> Sequence[WorkerStream]:
        """Return who gave this work back, the longest ago first."""
        if not self._by_work:
            return ()
        returned = self._by_work.get(_key(target_id, work))
        return returned.streams if returned is not None else ()

    def is_void(self, lease: Lease) -> bool:
        """Whether work that was given back has become void since."""
        return _key(lease.target_id, lease.work) not in self._by_work

    def counts(self, token: str, target_id: str, task_key: int) -> bool | None:
        """Whether an activity's result under this token counts; None where nothing is known."""
        returned = self._by_work.get((target_id, task_key))
        if returned is None or token not in returned.void | returned.good:
            return None
        return token in returned.good

    def done(self, target_id: str, work: Work) -> None:
        """The work is done."""
        if self._by_work:
            self._by_work.pop(_key(target_id, work), None)

    def drop_target(self, target_id: str) -> None:
        """The work of this instance or entity is void."""
        for key in [key for key in self._by_work if key[0] == target_id]:
            del self._by_work[key]

    def drop_stream(self, stream: WorkerStream) -> None:
        """A worker is gone."""
        for returned in self._by_work.values():
            if stream in returned.streams:
                returned.streams.remove(stream)


def _key(target_id: str, work: Work) -> _Key:
    # A target has one turn or batch at a time, but any number of activities.
    return target_id, work.task_key if isinstance(work, ReadyTask) else None
