"""The one who writes a task hub, and commits in groups.

Whatever has come in when the loop gets round to it goes into one transaction, so that many small
steps share one flush to disk. A step that raises is rolled back alone; when the commit itself
fails, it is tried in halves, so that one large step fails alone, and nothing of what fails has
happened. From then on every step is refused at once, until a trial once a second finds that the
disk takes writes again; `shortage` tells when work is handed out again.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

from local_runtime.clock import Clock
from local_runtime.scheduler.storage.commits import TRIAL_BYTES, Commits, Done, NotInPlace, Step
from local_runtime.scheduler.storage.effects import Effects
from local_runtime.scheduler.storage.files import Displaced, HubFiles
from local_runtime.scheduler.storage.shortage import Shortage

logger = logging.getLogger("local_runtime.scheduler")

_TRIAL_SECONDS = 1.0  # between two looks whether a failing disk takes writes again
_MAX_GROUP = 500  # steps in one transaction: bounds how long the first of them waits


class StorageUnavailable(Exception):
    """The disk did not take the transaction: nothing of it has happened, and it may be retried.

    `size` is about how many bytes it would have written, if they are many, and else 0.
    """

    def __init__(self, message: str, size: int = 0) -> None:
        super().__init__(message)
        self.size = size


class Writer:
    """Runs steps in the order they came, on the event loop, many in one transaction.

    On the loop, and not on a thread: sqlite3 gives up the interpreter's lock at every statement,
    and on a busy loop a thread would wait milliseconds to get it back, each time. What blocks is
    one flush to disk per group, and what comes in meanwhile makes the next group.
    """

    def __init__(
        self, connection: sqlite3.Connection, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self._connection = connection
        (_, _, self._path) = connection.execute("PRAGMA database_list").fetchone()
        self._files = HubFiles(self._path)
        self._commits = Commits(connection, self._files, clock, new_id)
        self._on_commit: Callable[[Effects], None] = _ignore
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Step[Any], asyncio.Future[Any]]] = []
        self._closed = False
        self._takes_writes = asyncio.Event()
        self._takes_writes.set()
        self._failure = ""
        self._shortage = Shortage()
        self._trial: asyncio.TimerHandle | None = None
        self._displaced: Displaced | None = None
        self._lost = ""

    @property
    def available(self) -> bool:
        """Whether the disk takes what work brings; work is handed out only while it does."""
        return self._takes_writes.is_set() and not self._shortage.stops_work

    @property
    def problem(self) -> str:
        """Why no work is handed out; empty while it is."""
        if self.available:
            return ""
        return self._lost or self._failure or "there is no room for a large result"

    def lacks_room(self, size: int) -> bool:
        """Whether the disk has refused as many bytes, or fewer, and has not taken them since."""
        return self._shortage.includes(size)

    @property
    def is_idle(self) -> bool:
        """Whether no step waits to be written."""
        return not self._waiting

    async def when_available(self) -> None:
        """Return once the disk takes writes."""
        await self._takes_writes.wait()

    def start(self, on_commit: Callable[[Effects], None]) -> None:
        """From now on tell `on_commit` what each commit brought about."""
        self._on_commit = on_commit

    def submit[T](self, step: Step[T]) -> asyncio.Future[T]:
        """Queue a step; the future has its result once the commit is on disk.

        A step may be run twice, the first time in vain: it changes nothing but the transaction.

        Raises (through the future):
            StorageUnavailable: the disk did not take it, and nothing of it has happened.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed or self._lost:
            future.set_exception(StorageUnavailable(self._lost or "the task hub is closed"))
            return future
        if not self._takes_writes.is_set():
            future.set_exception(_refused(self._failure))
            return future
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append((step, future))
        return future

    def when_room(self, error: StorageUnavailable, then: Callable[[], None]) -> bool:
        """Call `then` once the disk takes as much as it refused with this error.

        Until it does no work is handed out, for a while (see `Shortage`).

        Returns:
            False, without ever calling it, for what is not large: it has but to be tried again.
        """
        if not error.size or self._lost:
            return False
        self._shortage.add(error.size, then, self._loop.time())
        self._try_soon()
        return True

    def look(self) -> Displaced | None:
        """Look whether the files are still in their place; if not, nothing is written any more."""
        if self._displaced is None and not self._closed:
            displaced = self._files.fault()
            if displaced is not None:
                self._displace(displaced)
        return self._displaced

    def lose(self, reason: str) -> None:
        """Write nothing any more, and refuse everything for this reason."""
        self._lost = reason
        self._takes_writes.clear()

    @property
    def is_foreign(self) -> bool:
        """Whether the file in the place of the hub's own is not to be written."""
        return self._displaced is not None and self._displaced.is_foreign

    def put_log_aside(self) -> None:
        """Once everything is closed: keep the log away from a file that it does not belong to."""
        if self.is_foreign:
            self._files.put_log_aside()

    def checkpoint(self) -> None:
        """Move what the log holds into the file, as far as readers let it."""
        try:
            self._commits.move_log()
        except sqlite3.Error as error:
            self._fail(error)
        except NotInPlace as found:
            self._displace(found.displaced)

    def close(self) -> None:
        """Commit what is queued and close the connection."""
        while self._waiting:
            self._flush()
        self._closed = True
        if self._trial is not None:
            self._trial.cancel()
        self._connection.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        group, self._waiting = self._waiting[:_MAX_GROUP], self._waiting[_MAX_GROUP:]
        if self._waiting:
            self._loop.call_soon(self._flush)
        results, effects = self._commit([step for step, _ in group])
        for (_, future), result in zip(group, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._on_commit(effects)

    def _commit(self, steps: list[Step[Any]]) -> Done:
        if self._lost:
            return self._refuse(steps)
        try:
            return self._commits.commit(steps)
        except sqlite3.Error as error:
            return self._commit_halves(steps, error)
        except NotInPlace as found:
            self._displace(found.displaced)
            return self._refuse(steps)

    def _commit_halves(self, steps: list[Step[Any]], error: sqlite3.Error) -> Done:
        """Commit what the disk takes of a group that it did not take as a whole."""
        if len(steps) == 1:
            size = self._commits.measure(steps[0])
            self._fail(error)
            return [_refused(str(error), size)], Effects()
        half = len(steps) // 2
        results, effects = self._commit(steps[:half])
        if self._takes_writes.is_set():
            more, later = self._commit(steps[half:])
            effects.add(later)
        else:
            more, _ = self._refuse(steps[half:])
        return results + more, effects

    def _refuse(self, steps: list[Step[Any]]) -> Done:
        why = StorageUnavailable(self._lost) if self._lost else _refused(self._failure)
        return [why] * len(steps), Effects()

    def _displace(self, displaced: Displaced) -> None:
        """Take nothing any more: the files are not what they were."""
        self._displaced = displaced
        self.lose(f"{displaced.reason}: nothing can be written any more")

    def _fail(self, error: sqlite3.Error) -> None:
        if self._takes_writes.is_set():
            logger.error(
                "the disk does not take what is to be written to %s (%s): work stops until it "
                "does. Nothing that was acknowledged is lost. Check free space and permissions.",
                self._path,
                error,
            )
            self._failure = str(error)
            self._takes_writes.clear()
            self._try_soon()

    def _try_soon(self) -> None:
        if self._trial is None:
            self._trial = self._loop.call_later(_TRIAL_SECONDS, self._try)

    def _try(self) -> None:
        """See whether the disk takes writes again; if not, once more after a while."""
        self._trial = None
        if self._closed or self._lost:
            return
        stopped = not self.available
        try:
            is_over = self._look_for_room()
        except NotInPlace as found:
            self._displace(found.displaced)
            return
        if not is_over:
            self._try_soon()
        if stopped and self.available:
            logger.warning("the disk takes writes to %s again: work goes on", self._path)
            self._on_commit(Effects())

    def _look_for_room(self) -> bool:
        """Whether the disk takes all that it refused."""
        if not self._takes_writes.is_set():
            self._commits.shorten_log()
            if not self._commits.takes(TRIAL_BYTES):
                return False
            self._takes_writes.set()
        is_over = self._shortage.look(self._commits.takes_large, self._loop.time(), self._path)
        if not is_over:
            self._commits.shorten_log()
        return is_over


def _refused(reason: str, size: int = 0) -> StorageUnavailable:
    what = f"{size} bytes that are" if size else "what is"
    return StorageUnavailable(
        f"the disk does not take {what} to be written ({reason}); nothing of this has happened. "
        "Check the free space and the permissions of the data folder, and try again",
        size,
    )


def _ignore(effects: Effects) -> None:
    del effects
