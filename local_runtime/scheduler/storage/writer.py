"""The one who writes a task hub, and commits in groups.

Whatever has come in when the loop gets round to it goes into one transaction, so that many small
steps share one flush to disk. A step that raises is rolled back alone; when the commit itself
fails, it is tried in halves, so that one large step fails alone, and nothing of what fails has
happened. From then on every step is refused at once, until a trial once a second finds that the
disk takes writes again; `shortage` tells when work is handed out again.
"""

import asyncio
import contextlib
import itertools
import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

from local_runtime import faults
from local_runtime.clock import Clock
from local_runtime.scheduler.engine.events import micros
from local_runtime.scheduler.storage.effects import Effects
from local_runtime.scheduler.storage.files import Displaced, HubFiles
from local_runtime.scheduler.storage.shortage import Measuring, Shortage
from local_runtime.scheduler.storage.transaction import Transaction

logger = logging.getLogger("local_runtime.scheduler")

type Step[T] = Callable[[Transaction], T]

_TRIAL_SECONDS = 1.0  # between two looks whether a failing disk takes writes again
_TRIAL_BYTES = 262_144  # about what a busy moment writes; a step of more than half is large
_LOG_BYTES = 4_200_000  # what the log usually has: it is not made shorter than that
_MAX_GROUP = 500  # steps in one transaction: bounds how long the first of them waits


class StorageUnavailable(Exception):
    """The disk did not take the transaction: nothing of it has happened, and it may be retried.

    `size` is about how many bytes it would have written, if they are many, and else 0.
    """

    def __init__(self, message: str, size: int = 0) -> None:
        super().__init__(message)
        self.size = size


class _StepFailed(Exception):
    """A step of a group raised; which one, and what, comes out when they are run one by one."""


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
        self._clock = clock
        self._new_id = new_id
        self._on_commit: Callable[[Effects], None] = _ignore
        self._loop = asyncio.get_running_loop()
        self._keys = itertools.count(_greatest_key(connection) + 1)
        self._waiting: list[tuple[Step[Any], asyncio.Future[Any]]] = []
        self._closed = False
        self._takes_writes = asyncio.Event()
        self._takes_writes.set()
        self._failure = ""
        self._shortage = Shortage()
        self._trial: asyncio.TimerHandle | None = None
        self._files = HubFiles(self._path)
        self._displaced: Displaced | None = None
        self._lost = ""

    @property
    def available(self) -> bool:
        """Whether the disk takes what work brings; work is handed out only while it does."""
        return self._takes_writes.is_set() and not self._shortage.stops_work

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
            self._displace(self._files.fault())
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
            self._move_log()
        except sqlite3.Error as error:
            self._fail(error)

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

    def _commit(self, steps: list[Step[Any]]) -> tuple[list[Any], Effects]:
        if self._displace(self._files.touched()):
            return self._refuse(steps)
        try:
            try:
                done = self._commit_group(steps, self._run_step)
            except _StepFailed:
                # Once more from the beginning, so that only what a failing step did is undone.
                done = self._commit_group(steps, self._attempt_step)
        except sqlite3.Error as error:
            return self._commit_halves(steps, error)
        if self._displace(self._files.written()):
            return self._refuse(steps)
        return done

    def _commit_halves(
        self, steps: list[Step[Any]], error: sqlite3.Error
    ) -> tuple[list[Any], Effects]:
        """Commit what the disk takes of a group that it did not take as a whole."""
        if len(steps) == 1:
            size = self._measure(steps[0])
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

    def _refuse(self, steps: list[Step[Any]]) -> tuple[list[Any], Effects]:
        why = StorageUnavailable(self._lost) if self._lost else _refused(self._failure)
        return [why] * len(steps), Effects()

    def _displace(self, displaced: Displaced | None) -> bool:
        """Take nothing any more if the files are not what they were."""
        if displaced is not None:
            self._displaced = displaced
            self.lose(f"{displaced.reason}: nothing can be written any more")
        return bool(self._lost)

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
        if not self._takes_writes.is_set():
            self._shorten_log()
            if not self._takes(_TRIAL_BYTES):
                self._try_soon()
                return
        stopped = not self._takes_writes.is_set() or self._shortage.stops_work
        self._takes_writes.set()
        if self._shortage.look(self._takes_large, self._loop.time(), self._path):
            self._shorten_log()
            self._try_soon()
        if stopped and self.available:
            logger.warning("the disk takes writes to %s again: work goes on", self._path)
            self._on_commit(Effects())

    def _takes(self, size: int) -> bool:
        """Whether the disk takes so many bytes."""
        try:
            self._commit_group([partial(_write_something, size)], self._run_step)
        except sqlite3.Error:
            return False
        return not self._displace(self._files.written())

    def _takes_large(self, size: int) -> bool:
        """Whether the disk takes so many bytes; if so, it has room for them from now on.

        The log is moved into the file before, so that it begins anew and trials do not pile up in
        it, and after, so that its whole length is there for what comes.
        """
        try:
            return self._move_log() and self._takes(size) and self._move_log()
        except sqlite3.Error:
            return False

    def _shorten_log(self) -> None:
        """Give back what writes that failed have made the log longer: the file may need it."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
            # SQLite cuts it off at the first commit after all of it has been moved.
            if self._move_log():
                self._takes(1)
            self._files.forget_log_size()
            self._connection.execute("PRAGMA journal_size_limit = -1")

    def _move_log(self) -> bool:
        """Move the log into the file; return whether all of it could be."""
        moved = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self._displace(self._files.written())
        (_, written, done) = moved
        return written == done

    def _measure(self, step: Step[Any]) -> int:
        """Return about how many bytes a step writes, by doing and undoing it in memory."""
        measuring = Measuring(self._connection)
        try:
            self._connection.execute("PRAGMA cache_spill = OFF")
            self._connection.execute("BEGIN IMMEDIATE")
            step(self._transaction(measuring.connection))
        except Exception as error:  # what it wrote until then has been counted
            logger.debug("a step that failed was measured up to %s", error)
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._connection.execute("PRAGMA cache_spill = ON")
        return measuring.size if measuring.size > _TRIAL_BYTES // 2 else 0

    def _transaction(self, connection: sqlite3.Connection) -> Transaction:
        return Transaction(connection, micros(self._clock.now()), self._new_id, self._keys.__next__)

    def _commit_group(
        self, steps: list[Step[Any]], run: Callable[[Step[Any], Transaction], Any]
    ) -> tuple[list[Any], Effects]:
        transaction = self._transaction(self._connection)
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")  # one that the failing disk did not let end
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            results = [run(step, transaction) for step in steps]
            faults.reach("commit.before")
            self._connection.execute("COMMIT")
        except BaseException:
            # SQLite ends some failed transactions by itself.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        faults.reach("commit.after")
        return results, transaction.effects

    def _run_step(self, step: Step[Any], transaction: Transaction) -> Any:
        """Run one step without a savepoint of its own: nearly all succeed, and it would cost."""
        try:
            return step(transaction)
        except Exception as error:
            if _is_the_disks(error):
                raise  # no step of the group can be kept
            raise _StepFailed from error

    def _attempt_step(self, step: Step[Any], transaction: Transaction) -> Any:
        """Run one step; what it raises is its result, and its changes are undone."""
        whole = transaction.effects
        transaction.effects = Effects()
        self._connection.execute("SAVEPOINT step")
        try:
            result = step(transaction)
        except Exception as error:
            if _is_the_disks(error):
                raise
            self._connection.execute("ROLLBACK TO step")
            result = error
        else:
            whole.add(transaction.effects)
        transaction.effects = whole
        self._connection.execute("RELEASE step")
        return result


def _is_the_disks(error: Exception) -> bool:
    """Whether an error is the disk's or the file's, and not that of the step it came out of."""
    own = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)
    return isinstance(error, sqlite3.Error) and not isinstance(error, own)


def _refused(reason: str, size: int = 0) -> StorageUnavailable:
    what = f"{size} bytes that are" if size else "what is"
    return StorageUnavailable(
        f"the disk does not take {what} to be written ({reason}); nothing of this has happened. "
        "Check the free space and the permissions of the data folder, and try again",
        size,
    )


def _write_something(size: int, transaction: Transaction) -> None:
    """Write so many bytes and leave nothing of them."""
    connection = transaction.connection
    connection.execute("CREATE TABLE filler (bytes BLOB)")
    connection.execute("INSERT INTO filler VALUES (zeroblob(?))", (size,))
    connection.execute("DROP TABLE filler")


def _ignore(effects: Effects) -> None:
    del effects


def _greatest_key(connection: sqlite3.Connection) -> int:
    (key,) = connection.execute(
        "SELECT max(coalesce((SELECT max(position) FROM inbox), 0),"
        " coalesce((SELECT max(task_key) FROM tasks), 0),"
        " coalesce((SELECT max(delayed_key) FROM delayed), 0))"
    ).fetchone()
    return key
