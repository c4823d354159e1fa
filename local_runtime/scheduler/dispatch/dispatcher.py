"""Hands work to workers: who is ready, who holds what, and what comes back when a worker is lost.

Lives on the event loop and in memory only. Leases are not stored: after a crash a stored lease
would block its instance until it ran out, whereas everything unleased is simply ready.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from local_runtime.clock import Clock
from local_runtime.scheduler.dispatch.given_back import GivenBack
from local_runtime.scheduler.dispatch.large_work import (
    FRAME_BYTES,
    Aside,
    LargeWork,
    Place,
    TooLarge,
    Trouble,
    failing,
)
from local_runtime.scheduler.dispatch.late_results import LateResults
from local_runtime.scheduler.dispatch.leases import Lease, Leases, Work
from local_runtime.scheduler.dispatch.queues import TaskQueue
from local_runtime.scheduler.dispatch.streams import PLAIN_BYTES, Kind, WorkerStream
from local_runtime.scheduler.dispatch.targets import Targets
from local_runtime.scheduler.dispatch.workers import (
    TURN_SECONDS,
    Workers,
    WorkerState,
    look_whether_it_answers,
    note_answer,
)
from local_runtime.scheduler.engine.limits import shown
from local_runtime.scheduler.storage import entities, wire
from local_runtime.scheduler.storage.effects import Effects, ReadyTask
from local_runtime.scheduler.storage.entities import Batch
from local_runtime.scheduler.storage.turns import Turn
from local_runtime.scheduler.storage.writer import StorageUnavailable, Writer

logger = logging.getLogger("local_runtime.scheduler")

RETRY_SECONDS = 0.5  # before work that could not be read, or was given back, is tried again

_LONGEST_RETRY_SECONDS = 60.0

_FIELD = {
    Kind.ORCHESTRATION: wire.ORCHESTRATOR_REQUEST,
    Kind.ENTITY: wire.ENTITY_REQUEST,
    Kind.ACTIVITY: wire.ACTIVITY_REQUEST,
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where the dispatcher reads work from, and its time and ids."""

    writer: Writer
    read_turn: Callable[[str], Turn | None]
    read_task: Callable[[int], ReadyTask | None]
    new_id: Callable[[], str]
    clock: Clock


class Dispatcher:
    """Pairs ready work with workers that have room for it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._writer = source.writer
        self._clock = source.clock
        self._loop = asyncio.get_running_loop()
        self._workers = Workers()
        self._tasks = TaskQueue()
        self._unreadable: dict[str, int] = {}  # targets whose work could not be put together
        self._loading = 0  # entities whose batches are being put together
        self._leases = Leases(source.new_id)
        self._given_back = GivenBack()
        self._large = LargeWork(source.clock.now)
        self.late = LateResults(source.read_task, self._leases, self._tasks, self._given_back)
        self._targets = Targets(self._activities_out, self.pump, self._loop)
        self._closed = False

    # -- what changes the picture ----------------------------------------------------------------

    def add(self, effects: Effects) -> None:
        """Take in the consequences of a commit."""
        for task in effects.tasks:
            self._tasks.add(task)
        for target_id in effects.cancelled:
            self._revoke(target_id)
        for target_id in effects.ready:
            self._targets.add(target_id)
        self.pump()

    def seed(self, targets: Iterable[str], tasks: Iterable[ReadyTask]) -> None:
        """Take in what a restarted scheduler finds waiting."""
        for target_id in targets:
            self._targets.add(target_id)
        for task in tasks:
            self._tasks.add(task)

    def connect(self, stream: WorkerStream) -> None:
        """A worker is there."""
        self._workers.add(stream)
        if self._closed:
            stream.end()
        self.pump()

    def disconnect(self, stream: WorkerStream) -> None:
        """A worker is gone: what it held is ready for another one at once."""
        self._workers.remove(stream)
        self._given_back.drop_stream(stream)
        lost = self._leases.of_stream(stream)
        if not self._closed:
            self._large.stream_ended(stream, lost)
        for lease in lost:
            self._leases.end(lease)
            self._return(lease)
        if lost:
            logger.log(
                logging.WARNING if stream.is_silent else logging.INFO,
                "a worker disconnected: %d work item(s) are ready again (worker %d%s)",
                len(lost),
                stream.number,
                ", which had not answered any more" if stream.is_silent else "",
            )
        self.pump()

    def look_at(self, stream: WorkerStream) -> None:
        """See whether a worker still answers; a turn that it keeps goes to another one."""
        now = self._loop.time()
        held = self._leases.of_stream(stream)
        look_whether_it_answers(stream, held, now)
        if self._large.aside:
            self.pump()  # what waits for a worker without other work does not wait for ever
        if not stream.is_silent:
            return
        for lease in held:
            if lease.kind is Kind.ORCHESTRATION and now - lease.since > TURN_SECONDS:
                self._pass_on(lease)

    def leased(self, token: str, kind: Kind) -> Lease | None:
        """Return a lease by its completion token, and leave it as it is."""
        return self._leases.find(token, kind)

    def take(self, token: str, kind: Kind) -> Lease | None:
        """End a lease by its completion token, once; None for a stale token or another kind.

        The target stays busy until `release` or `abandon`.
        """
        lease = self.leased(token, kind)
        if lease is not None:
            self._end(lease)
            note_answer(lease.stream, self._loop.time(), self._clock.now())
        return lease

    def release(self, lease: Lease) -> None:
        """The completion of a taken lease is on disk: its target may be handed out again."""
        self._given_back.done(lease.target_id, lease.work)
        self.late.settled(lease)
        self._large.answered(lease)
        if lease.kind is not Kind.ACTIVITY:
            self._targets.free(lease.target_id)
        self.pump()

    def abandon(
        self,
        lease: Lease,
        *,
        is_void: bool = True,
        when: Callable[[Callable[[], None]], bool] | None = None,
    ) -> None:
        """Hand work of a taken lease out again after a moment: to another worker if one can.

        With `is_void` the worker does not want it; without, its answer could not be recorded,
        and counts when it comes again, whoever has the work then. `when` may take over to say
        when: it is given what is to be called, and answers whether it will.
        """
        self._given_back.add(lease, is_void=is_void)
        if when is None or not when(partial(self._return_later, lease)):
            self._loop.call_later(RETRY_SECONDS, self._return_later, lease)
        self.pump()

    def close(self) -> None:
        """Hand out nothing any more."""
        self._closed = True

    def end_streams(self) -> None:
        """Send the workers away: those that come back find another dispatcher."""
        for stream in self._workers:
            stream.end()

    @property
    def is_settled(self) -> bool:
        """Whether no work is handed out or about to be; without a worker none is."""
        if not self._workers:
            return True
        under_way = self._leases or self._tasks.waiting() or self._large.aside
        return self._targets.is_settled and not under_way

    def waiting(self, kind: Kind) -> int:
        """How many items of a kind wait for a worker."""
        aside = sum(item.kind is kind for item in self._large.aside)
        if kind is Kind.ACTIVITY:
            return self._tasks.waiting() + aside
        return self._targets.waiting(kind) + aside

    def workers(self) -> list[WorkerState]:
        """Return who is connected, for people."""
        return self._workers.states()

    def troubles(self) -> list[Trouble]:
        """Return what went wrong lately with work that was too large, the latest last."""
        return list(self._large.troubles)

    # -- handing out -----------------------------------------------------------------------------

    def pump(self) -> None:
        """Hand out what is ready to whoever has room."""
        if not self._workers or self._closed or not self._writer.available:
            return  # what cannot be recorded is not begun
        if self._large.aside:
            aside, self._large.aside = self._large.aside, []
            for item in aside:
                self._offer_large(item)
        for kind in (Kind.ORCHESTRATION, Kind.ENTITY):
            self._targets.unpark(kind, partial(self._wants, kind))
            while self._targets.has_ready(kind) and self._has_room(kind):
                self._load(kind, self._targets.take(kind))
        while task := self._tasks.take(partial(self._wants, Kind.ACTIVITY)):
            self._offer(Kind.ACTIVITY, task.instance_id, task)

    def _wants(self, kind: Kind, name: str, version: str | None) -> bool:
        return self._workers.choose(kind, name, version) is not None

    def _has_room(self, kind: Kind) -> bool:
        """Whether one more item can be put together: those on their way count as handed out."""
        room = self._workers.room(kind)
        return room is None or room > (self._loading if kind is Kind.ENTITY else 0)

    def _load(self, kind: Kind, target_id: str) -> None:
        if kind is Kind.ENTITY:
            self._loading += 1
            room = PLAIN_BYTES - FRAME_BYTES if self._large.suspects(target_id) else None
            future = self._writer.submit(lambda tx: entities.load(tx, target_id, room))
            future.add_done_callback(partial(self._loaded, target_id))
            return
        try:
            turn = self._source.read_turn(target_id)
        except Exception as error:  # one that cannot be read must not hold up the others
            self._try_later(target_id, error)
        else:
            self._unreadable.pop(target_id, None)
            self._offer(kind, target_id, turn)

    def _loaded(self, target_id: str, done: asyncio.Future[Batch | None]) -> None:
        self._loading -= 1
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            self._try_later(target_id, error)
            return
        self._unreadable.pop(target_id, None)
        self._offer(Kind.ENTITY, target_id, done.result())
        self.pump()

    def _offer(self, kind: Kind, target_id: str, work: Work | None) -> None:
        """Hand work that has been put together to a worker, or keep it until one wants it."""
        if work is None:
            self._targets.free(target_id)
            return
        if len(work.request) + FRAME_BYTES > PLAIN_BYTES:
            self._offer_large(Aside(kind, target_id, work, self._loop.time()))
            return
        version = _version(work)
        avoiding = self._given_back.by(target_id, work)
        stream = self._workers.choose(kind, work.name, version, avoiding)
        if stream is not None:
            self._lease(kind, target_id, work, stream)
        else:
            self._keep(kind, target_id, work)

    def _offer_large(self, item: Aside) -> None:
        version = _version(item.work)
        wanting = [s for s in self._workers if s.wants(item.kind, item.work.name, version)]
        if not wanting:
            self._keep(item.kind, item.target_id, item.work)
            return
        match self._large.place(item, wanting, self._loop.time()):
            case Place(stream, alone):
                self._lease(item.kind, item.target_id, item.work, stream, alone=alone)
            case TooLarge() as problem:
                self._fail(item, self._large.give_up(item.target_id, item.work, problem))
            case None:
                self._large.aside.append(item)

    def _keep(self, kind: Kind, target_id: str, work: Work) -> None:
        """Keep work that nobody wants until somebody does."""
        if isinstance(work, ReadyTask):
            self._tasks.put_back(work)
        else:
            self._targets.park(kind, target_id, work.name, _version(work))

    def _try_later(self, target_id: str, error: BaseException) -> None:
        """Try again to put work together, less and less often; the log tells of it once."""
        tries = self._unreadable[target_id] = self._unreadable.get(target_id, 0) + 1
        # Of a failing disk the writer tells, once.
        if tries == 1 and not isinstance(error, StorageUnavailable):
            text = f"its work cannot be put together: {error}"
            logger.error("%s: %s. The others go on; it is tried again.", shown(target_id), text)
            self._large.note(target_id, text)
        pause = min(RETRY_SECONDS * 2 ** min(tries - 1, 10), _LONGEST_RETRY_SECONDS)
        if isinstance(error, StorageUnavailable):
            pause = RETRY_SECONDS
        self._loop.call_later(pause, self._free_again, target_id)

    def _lease(
        self, kind: Kind, target_id: str, work: Work, stream: WorkerStream, *, alone: bool = False
    ) -> None:
        request = work.request
        if stream.streams_history and isinstance(work, Turn):
            request = work.without_history()
        token = self._leases.new_token(work)
        message = wire.work_item(_FIELD[kind], request, token)
        lease = Lease(token, kind, target_id, work, stream, len(message), self._loop.time())
        self._leases.begin(lease)
        stream.is_alone = alone
        stream.send(message)

    def _fail(self, item: Aside, text: str) -> None:
        """Record that work cannot be done, which no worker can be told of."""

        def recorded(done: asyncio.Future[bool]) -> None:
            if done.cancelled() or done.exception() is not None:
                self._loop.call_later(RETRY_SECONDS, self._put_back, item.target_id, item.work)
                return
            self._given_back.done(item.target_id, item.work)
            if item.kind is not Kind.ACTIVITY:
                self._targets.free(item.target_id)
            self.pump()

        self._writer.submit(failing(item.work, text)).add_done_callback(recorded)

    # -- coming back -----------------------------------------------------------------------------

    def _end(self, lease: Lease) -> None:
        self._leases.end(lease)
        if lease.stream.is_idle:
            lease.stream.is_alone = False

    def _return(self, lease: Lease) -> None:
        if isinstance(lease.work, ReadyTask):
            if self.late.settled(lease):
                self._given_back.done(lease.target_id, lease.work)
            else:
                self._tasks.put_back(lease.work)
        else:
            self._targets.free_again(lease.target_id)

    def _return_later(self, lease: Lease) -> None:
        # An activity whose instance has ended meanwhile must not run any more.
        if lease.kind is not Kind.ACTIVITY or not self._given_back.is_void(lease):
            self._return(lease)
        self.pump()

    def _put_back(self, target_id: str, work: Work) -> None:
        if isinstance(work, ReadyTask):
            self._tasks.put_back(work)
            self.pump()
        else:
            self._free_again(target_id)

    def _pass_on(self, lease: Lease) -> None:
        """Take a turn from a silent worker, if another one could do it."""
        work, avoiding = lease.work, [lease.stream]
        other = self._workers.choose(lease.kind, work.name, _version(work), avoiding)
        if other is None or other is lease.stream or other.is_silent:
            return
        logger.warning(
            "%s: worker %d has kept its turn for more than %.0f s: it goes to another worker",
            lease.target_id,
            lease.stream.number,
            TURN_SECONDS,
        )
        self._end(lease)
        self._given_back.add(lease, is_void=True)
        self._free_again(lease.target_id)

    def _free_again(self, target_id: str) -> None:
        self._targets.free_again(target_id)
        self.pump()

    def _activities_out(self, instance_id: str) -> int:
        return self._leases.count(instance_id) + self._tasks.of_instance(instance_id)

    def _revoke(self, target_id: str) -> None:
        """Void whatever is queued or leased for a target that ended or was deleted."""
        self._tasks.drop_instance(target_id)
        self._given_back.drop_target(target_id)
        self._targets.drop(target_id)
        if any(item.target_id == target_id for item in self._large.aside):
            self._targets.forget(target_id)
        self._large.drop_target(target_id)
        self._unreadable.pop(target_id, None)
        for lease in self._leases.of_target(target_id):
            self.late.settled(lease)
            self._end(lease)
            if lease.kind is not Kind.ACTIVITY:
                self._targets.forget(target_id)


def _version(work: Work) -> str | None:
    return None if isinstance(work, Batch) else work.version
