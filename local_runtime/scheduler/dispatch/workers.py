"""The connected workers of a task hub: who is there, who answers, and who gets the next item.

A worker whose process hangs keeps its connection for some seconds, until the keepalive of the
server ends it. A turn is answered at once by a worker that runs, and a batch soon: who holds one
for seconds, and answers nothing else either, gets no more while another worker could do it.
"""

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from local_runtime.scheduler.dispatch.leases import Lease
from local_runtime.scheduler.dispatch.streams import Kind, WorkerStream
from local_runtime.scheduler.engine.limits import shown

logger = logging.getLogger("local_runtime.scheduler")

SILENT_SECONDS = 3.0
"""So long a turn or a batch may be out, with no other answer, until its worker counts as silent."""
TURN_SECONDS = 60.0
"""So long a silent worker keeps a turn that another one could do."""

type _Version = str | None


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One worker, for people."""

    number: int
    name: str
    connected_at: datetime | None
    held: Mapping[str, int]
    answered_at: datetime | None
    state: str
    takes_bytes: int | None


class Workers:
    """The streams of connected workers."""

    def __init__(self) -> None:
        self._streams: list[WorkerStream] = []
        self._numbers = itertools.count(1)

    def __bool__(self) -> bool:
        """Whether any worker is connected."""
        return bool(self._streams)

    def __iter__(self) -> Iterator[WorkerStream]:
        """Go through the streams, the longest connected first."""
        return iter(self._streams)

    def add(self, stream: WorkerStream) -> None:
        """A worker is there."""
        stream.number = next(self._numbers)
        self._streams.append(stream)

    def remove(self, stream: WorkerStream) -> None:
        """A worker is gone."""
        self._streams.remove(stream)

    def room(self, kind: Kind) -> int | None:
        """Return how many more items of a kind all workers take; None for any number."""
        room = 0
        for stream in self._streams:
            free = stream.free(kind)
            if free is None:
                return None
            room += free
        return room

    def choose(
        self, kind: Kind, name: str, version: _Version, avoiding: Sequence[WorkerStream] = ()
    ) -> WorkerStream | None:
        """Return the least loaded worker that has room and wants the item.

        One of those to be avoided is returned only when there is no other: the first of them. A
        silent one only when no other wants the item, whether that one has room now or not.
        """
        wanting = [stream for stream in self._streams if stream.wants(kind, name, version)]
        return least_loaded(wanting, kind, avoiding)

    def states(self) -> list[WorkerState]:
        """Return the workers as people see them."""
        return [_state(stream) for stream in self._streams]


def least_loaded(
    wanting: Iterable[WorkerStream], kind: Kind, avoiding: Sequence[WorkerStream] = ()
) -> WorkerStream | None:
    """Return who of several workers that want an item gets it; None when it has to wait."""
    best: WorkerStream | None = None
    best_rank = (True, 0, 0)
    others_answer = False
    for stream in wanting:
        others_answer = others_answer or not stream.is_silent
        if stream.free(kind) == 0:
            continue
        avoided = avoiding.index(stream) + 1 if stream in avoiding else 0
        rank = (stream.is_silent, avoided, stream.held[kind])
        if best is None or rank < best_rank:
            best, best_rank = stream, rank
    if best is not None and best.is_silent and others_answer:
        return None
    return best


def look_whether_it_answers(stream: WorkerStream, held: Sequence[Lease], now: float) -> None:
    """Take note of a worker that has been silent for too long, or is no more."""
    waiting = [lease.since for lease in held if lease.kind is not Kind.ACTIVITY]
    silent_for = now - max(stream.answered, min(waiting)) if waiting else 0.0
    is_silent = silent_for >= SILENT_SECONDS
    if is_silent and not stream.is_silent:
        logger.warning(
            "worker %d (%s) has not answered for %.0f s: it gets no new work while another worker "
            "can do it",
            stream.number,
            shown(stream.name),
            silent_for,
        )
    stream.is_silent = is_silent


def note_answer(stream: WorkerStream, now: float, at: datetime) -> None:
    """Take note that a worker has answered, at a time of the loop and of the clock."""
    if stream.is_silent:
        logger.info("worker %d (%s) answers again", stream.number, shown(stream.name))
    stream.is_silent = False
    stream.answered = now
    stream.answered_at = at


def _state(stream: WorkerStream) -> WorkerState:
    state = "ready"
    if stream.is_silent:
        state = "not answering"
    elif stream.is_alone:
        state = "alone with a large item"
    return WorkerState(
        stream.number,
        stream.name,
        stream.connected_at,
        {kind.value: stream.held[kind] for kind in Kind},
        stream.answered_at,
        state,
        stream.takes_bytes,
    )
