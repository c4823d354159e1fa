"""One task hub at work: its file, its writer, its dispatcher, its timers and who waits."""

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from google.protobuf.message import DecodeError

from local_runtime.background import BackgroundTasks
from local_runtime.clock import Clock
from local_runtime.scheduler.dispatch.dispatcher import Dispatcher, Source
from local_runtime.scheduler.dispatch.streams import Kind
from local_runtime.scheduler.engine.events import micros
from local_runtime.scheduler.engine.limits import shown
from local_runtime.scheduler.service.damaged import DamagedData
from local_runtime.scheduler.service.housekeeping import Housekeeping
from local_runtime.scheduler.service.hub_status import HubStatus
from local_runtime.scheduler.service.inspection import Inspection
from local_runtime.scheduler.service.size_warnings import SizeWarnings
from local_runtime.scheduler.service.timers import Timers
from local_runtime.scheduler.service.waiters import Waiters
from local_runtime.scheduler.storage import activities, messages, set_aside, turns
from local_runtime.scheduler.storage.damage import DamagedRow, as_damage, is_damage
from local_runtime.scheduler.storage.database import Durability, open_reader, open_writer
from local_runtime.scheduler.storage.effects import Effects
from local_runtime.scheduler.storage.reader import Reader
from local_runtime.scheduler.storage.turns import Turn, Verified
from local_runtime.scheduler.storage.writer import Writer

logger = logging.getLogger("local_runtime.scheduler")

_MOST_SET_ASIDE = 100  # rows of each kind that a status lists


def new_id() -> str:
    """Return a random id of 32 hexadecimal digits."""
    return secrets.token_hex(16)


class Hub:
    """Everything of one task hub, in one process. Made by `open`."""

    def __init__(
        self,
        name: str,
        writer: Writer,
        reader: Reader,
        view: sqlite3.Connection,
        clock: Clock,
    ) -> None:
        self.name = name
        self.writer = writer
        self.reader = reader
        self.waiters = Waiters()
        self.damaged = DamagedData(name, self.waiters.wake, clock.now)
        self.dispatcher = Dispatcher(
            Source(writer, self._read_turn, partial(activities.find, view), new_id, clock)
        )
        self.sizes = SizeWarnings(self.dispatcher.leased)
        # For what is small and read often, on the event loop: a thread's hand-over costs more.
        # Lists and histories are read by `reader`.
        self.view = view
        self._verified = Verified()
        self.closed = False
        self.lost = ""
        self._clock = clock
        self._timers: Timers | None = None
        self._housekeeping: Housekeeping | None = None
        self._inspection: Inspection | None = None
        self._tasks = BackgroundTasks(clock, f"task hub {name}")

    @classmethod
    def open(
        cls,
        name: str,
        path: Path,
        clock: Clock,
        durability: Durability,
        ids: Callable[[], str] = new_id,
        retention: timedelta | None = None,
    ) -> "Hub":
        """Open a hub's file, take up what waits in it, and start its writer and timers.

        Raises:
            StartupError: the file cannot be used; the message says why.
        """
        connection = open_writer(path, durability)
        damaged: list[DamagedRow] = []
        targets = messages.all_targets(connection, damaged)
        tasks = list(activities.all_ready(connection, damaged))
        next_due = messages.next_due(connection)
        writer = Writer(connection, clock, ids)
        hub = cls(name, writer, Reader(path), open_reader(path), clock)
        hub._inspection = Inspection(name, path, writer, hub.damaged)
        hub._inspection.start()
        hub.damaged.note(damaged)
        hub.damaged.note_again(damage for damage, _ in set_aside.delayed(hub.view, _MOST_SET_ASIDE))
        hub.dispatcher.seed(targets, tasks)
        writer.start(hub.committed)
        hub._timers = Timers(writer, clock, next_due)
        hub._tasks.start("timers", hub._timers.run)
        hub._housekeeping = Housekeeping(name, writer, clock, retention)
        hub._tasks.start("housekeeping", hub._housekeeping.run)
        if targets or tasks:
            logger.info(
                "task hub %s: took up %d instance(s) and entities and %d activities",
                name,
                len(targets),
                len(tasks),
            )
        return hub

    def _read_turn(self, instance_id: str) -> Turn | None:
        if instance_id in self.damaged:
            return None
        try:
            turn = turns.load(self.view, micros(self._clock.now()), instance_id, self._verified)
        except (DamagedRow, DecodeError, UnicodeError, sqlite3.DatabaseError) as error:
            if not is_damage(error):
                raise
            self.damaged.note([as_damage(error, instance_id)])
            return None
        if turn is not None:
            self.sizes.look_at_turn(turn)
        return turn

    def committed(self, effects: Effects) -> None:
        """Let the world see what is now on disk; where one part fails, the others are told."""
        for tell in (self._log, self._tell_timers, self._tell_waiters, self.dispatcher.add):
            try:
                tell(effects)
            except Exception:
                logger.exception("task hub %s: unexpected error after a commit", self.name)

    def _log(self, effects: Effects) -> None:
        self.damaged.forget(effects.cancelled)
        self.damaged.note(effects.damaged)
        if logger.isEnabledFor(logging.INFO):
            for target_id, text, values in effects.notes:
                logger.info("%s: %s", target_id, shown(text % values))
        self.sizes.look_at_entities(effects.ready)

    def _tell_timers(self, effects: Effects) -> None:
        if effects.due_at is not None and self._timers is not None:
            self._timers.added(effects.due_at)

    def _tell_waiters(self, effects: Effects) -> None:
        self.waiters.wake(effects.changed)

    def status(self) -> HubStatus:
        """Return how the hub is at the moment."""
        problem = self.writer.problem
        aside: list[set_aside.SetAside] = []
        try:
            aside = self._all_set_aside()
        except sqlite3.Error as error:
            problem = problem or f"the file cannot be read: {error}"
        return HubStatus(
            name=self.name,
            waiting={kind.value: self.dispatcher.waiting(kind) for kind in Kind},
            workers=self.dispatcher.workers(),
            troubles=[*self.dispatcher.troubles(), *self.damaged.troubles()],
            tasks=self._tasks.reports(),
            set_aside=aside,
            disk_problem=problem,
        )

    def _all_set_aside(self) -> list[set_aside.SetAside]:
        delayed = set_aside.delayed(self.view, _MOST_SET_ASIDE)
        known = {(damage.table, damage.key): damage for damage in self.damaged.rows()}
        found = [
            set_aside.listed(known.pop((damage.table, damage.key), damage), due_at)
            for damage, due_at in delayed
        ]
        others = [one for one in known.values() if set_aside.is_still_there(self.view, one)]
        return found + [set_aside.listed(damage) for damage in others[:_MOST_SET_ASIDE]]

    def now(self) -> datetime:
        """Return the time of the hub's clock."""
        return self._clock.now()

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way: what remains waits for a moment, an event or a worker."""
        return self.writer.is_idle and self.dispatcher.is_settled

    def next_due(self) -> int | None:
        """Return when the earliest delayed message is due, in microseconds, or None."""
        return messages.next_due(self.view)

    async def deliver_due(self) -> None:
        """Deliver all that is due at the clock's present moment; returns once it is on disk."""
        while True:
            following = await self.writer.submit(messages.deliver_due)
            if following is None or following > micros(self._clock.now()):
                return

    def tidy(self) -> None:
        """Much may have been deleted: let the file shrink."""
        if self._housekeeping is not None:
            self._housekeeping.tidy()

    def lose(self, reason: str) -> None:
        """Take nothing any more, and tell all who wait why: the files are not there, or not ours.

        Their streams end, and workers that come back are refused as everybody is.
        """
        self.lost = reason
        self.writer.lose(reason)
        self.dismiss()

    async def close(self) -> None:
        """Commit what is under way and close the file; nothing is handed out any more."""
        self.closed = True
        self.dispatcher.close()
        if self._inspection is not None:
            await self._inspection.close()
        await self._tasks.stop()
        self.writer.close()
        await asyncio.to_thread(self.reader.close)
        if self.writer.is_foreign:
            # The last connection would write the log into a file that may be a restored copy.
            self.view.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        self.view.close()
        self.writer.put_log_aside()

    def dismiss(self) -> None:
        """End the streams of workers, and what clients wait for: the hub is no more."""
        self.dispatcher.end_streams()
        self.waiters.wake_all()
