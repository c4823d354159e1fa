"""Hands work to workers: who is ready, who holds what, and what comes back when a worker is lost.

Lives on the event loop and in memory only. Leases are not stored: after a crash a stored lease
would block its instance until it ran out, whereas everything unleased is simply ready.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from local_runtime.scheduler.dispatch.given_back import GivenBack
from local_runtime.scheduler.dispatch.leases import Lease, Leases, Work
from local_runtime.scheduler.dispatch.oversized import MAX_WORK_BYTES, failing
from local_runtime.scheduler.dispatch.queues import TaskQueue
from local_runtime.scheduler.dispatch.streams import Kind, WorkerStream, least_loaded, room_for
from local_runtime.scheduler.dispatch.targets import Targets
from local_runtime.scheduler.storage import entities, wire
from local_runtime.scheduler.storage.effects import Effects, ReadyTask
from local_runtime.scheduler.storage.entities import Batch
from local_runtime.scheduler.storage.turns import Turn
from local_runtime.scheduler.storage.writer import StorageUnavailable, Writer

logger = logging.getLogger("local_runtime.scheduler")

RETRY_SECONDS = 0.5  # before work that could not be read, or was given back, is tried again

_FIELD = {
    Kind.ORCHESTRATION: wire.ORCHESTRATOR_REQUEST,
    Kind.ENTITY: wire.ENTITY_REQUEST,
    Kind.ACTIVITY: wire.ACTIVITY_REQUEST,
}


class Dispatcher:
    """Pairs ready work with workers that have room for it."""

    def __init__(
        self,
        writer: Writer,
        read_turn: Callable[[str], Turn | None],
        new_token: Callable[[], str],
    ) -> None:
        self._writer = writer
        self._read_turn = read_turn
        self._streams: list[WorkerStream] = []
        self._tasks = TaskQueue()
        self._loading = 0  # entities whose batches are being put together
        self._leases = Leases(new_token)
        self._given_back = GivenBack()
        self._targets = Targets(self._activities_out, self.pump, asyncio.get_running_loop())
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
        self._streams.append(stream)
        if self._closed:
            stream.end()
        self.pump()

    def disconnect(self, stream: WorkerStream) -> None:
        """A worker is gone: what it held is ready for another one at once."""
        self._streams.remove(stream)
        self._given_back.drop_stream(stream)
        lost = self._leases.of_stream(stream)
        for lease in lost:
            self._leases.end(lease)
            self._return(lease)
        if lost:
            logger.info("a worker disconnected: %d work item(s) are ready again", len(lost))
        self.pump()

    def leased(self, token: str, kind: Kind) -> Lease | None:
        """Return a lease by its completion token, and leave it as it is."""
        return self._leases.find(token, kind)

    def take(self, token: str, kind: Kind) -> Lease | None:
        """End a lease by its completion token, once; None for a stale token or another kind.

        The target stays busy until `release` or `abandon`.
        """
        lease = self.leased(token, kind)
        if lease is not None:
            self._leases.end(lease)
        return lease

    def release(self, lease: Lease) -> None:
        """The completion of a taken lease is on disk: its target may be handed out again."""
        self._given_back.done(lease)
        if lease.kind is not Kind.ACTIVITY:
            self._targets.free(lease.target_id)
        self.pump()

    def abandon(
        self, lease: Lease, when: Callable[[Callable[[], None]], bool] | None = None
    ) -> None:
        """Give back work of a taken lease: after a moment it goes to another worker if it can.

        `when` may take over to say when: it is given what is to be called, and answers whether it
        will.
        """
        self._given_back.add(lease)
        if when is None or not when(partial(self._return_later, lease)):
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._return_later, lease)
        self.pump()

    def close(self) -> None:
        """Hand out nothing any more."""
        self._closed = True

    def end_streams(self) -> None:
        """Send the workers away: those that come back find another dispatcher."""
        for stream in self._streams:
            stream.end()

    @property
    def is_settled(self) -> bool:
        """Whether no work is handed out or about to be; without a worker none is."""
        if not self._streams:
            return True
        return self._targets.is_settled and not (self._leases or self._tasks.waiting())

    def waiting(self, kind: Kind) -> int:
        """How many items of a kind wait for a worker."""
        return self._tasks.waiting() if kind is Kind.ACTIVITY else self._targets.waiting(kind)

    # -- handing out -----------------------------------------------------------------------------

    def pump(self) -> None:
        """Hand out what is ready to whoever has room."""
        if not self._streams or self._closed or not self._writer.available:
            return  # what cannot be recorded is not begun
        for kind in (Kind.ORCHESTRATION, Kind.ENTITY):
            self._targets.unpark(kind, partial(self._wants, kind))
            while self._targets.has_ready(kind) and self._has_room(kind):
                self._load(kind, self._targets.take(kind))
        while task := self._tasks.take(partial(self._wants, Kind.ACTIVITY)):
            avoiding = self._given_back.by(task.instance_id, task)
            stream = self._choose(Kind.ACTIVITY, task.name, task.version, avoiding)
            if stream is not None:
                self._lease(Kind.ACTIVITY, task.instance_id, task, stream)

    def _wants(self, kind: Kind, name: str, version: str | None) -> bool:
        return self._choose(kind, name, version) is not None

    def _has_room(self, kind: Kind) -> bool:
        """Whether one more item can be put together: those on their way count as handed out."""
        room = room_for(self._streams, kind)
        return room is None or room > (self._loading if kind is Kind.ENTITY else 0)

    def _load(self, kind: Kind, target_id: str) -> None:
        if kind is Kind.ENTITY:
            self._loading += 1
            future = self._writer.submit(lambda tx: entities.load(tx, target_id))
            future.add_done_callback(partial(self._loaded, target_id))
            return
        try:
            turn = self._read_turn(target_id)
        except sqlite3.Error as error:
            self._try_later(target_id, error)
        else:
            self._offer(kind, target_id, turn)

    def _loaded(self, target_id: str, done: asyncio.Future[Batch | None]) -> None:
        self._loading -= 1
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            self._try_later(target_id, error)
            return
        self._offer(Kind.ENTITY, target_id, done.result())
        self.pump()

    def _offer(self, kind: Kind, target_id: str, work: Turn | Batch | None) -> None:
        """Hand work that has been put together to a worker, or keep it until one wants it."""
        if work is None:
            self._targets.free(target_id)
            return
        version = work.version if isinstance(work, Turn) else None
        stream = self._choose(kind, work.name, version, self._given_back.by(target_id, work))
        if stream is not None:
            self._lease(kind, target_id, work, stream)
        else:
            self._targets.park(kind, target_id, work.name, version)

    def _try_later(self, target_id: str, error: BaseException) -> None:
        # Of a failing disk the writer tells, once.
        if not isinstance(error, StorageUnavailable):
            logger.error("%s: its work could not be put together: %s", target_id, error)
        asyncio.get_running_loop().call_later(RETRY_SECONDS, self._free_again, target_id)

    def _choose(
        self, kind: Kind, name: str, version: str | None, avoiding: Sequence[WorkerStream] = ()
    ) -> WorkerStream | None:
        return least_loaded(self._streams, kind, name, version, avoiding)

    def _lease(self, kind: Kind, target_id: str, work: Work, stream: WorkerStream) -> None:
        lease = self._leases.propose(kind, target_id, work, stream)
        request = work.request
        if stream.streams_history and isinstance(work, Turn):
            request = work.without_history()
        if len(request) > MAX_WORK_BYTES:
            self._fail(lease, len(request))
            return
        self._leases.begin(lease)
        stream.send(wire.work_item(_FIELD[kind], request, lease.token))

    def _fail(self, lease: Lease, size: int) -> None:
        """Record that work cannot be done, which no worker can be told of."""
        logger.error("%s: its work has %d bytes, too many for a message", lease.target_id, size)

        def recorded(done: asyncio.Future[bool]) -> None:
            is_lost = done.cancelled() or done.exception() is not None
            (self.abandon if is_lost else self.release)(lease)

        self._writer.submit(failing(lease.work, size)).add_done_callback(recorded)

    # -- coming back -----------------------------------------------------------------------------

    def _return(self, lease: Lease) -> None:
        if isinstance(lease.work, ReadyTask):
            self._tasks.put_back(lease.work)
        else:
            self._targets.free_again(lease.target_id)

    def _return_later(self, lease: Lease) -> None:
        # An activity whose instance has ended meanwhile must not run any more.
        if lease.kind is not Kind.ACTIVITY or not self._given_back.is_void(lease):
            self._return(lease)
        self.pump()

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
        for lease in self._leases.of_target(target_id):
            self._leases.end(lease)
            if lease.kind is not Kind.ACTIVITY:
                self._targets.forget(target_id)
