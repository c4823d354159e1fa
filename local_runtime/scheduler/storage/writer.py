"""The one who writes a task hub, and commits in groups.

Whatever has come in when the loop gets round to it goes into one transaction, so that many small
steps share one flush to disk. A step that raises is rolled back alone; when the commit itself
fails, every step of the group fails and nothing of it has happened. From then on every step is
refused at once, until a trial once a second finds that the disk takes writes again.
"""

import asyncio
import itertools
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

from local_runtime import faults
from local_runtime.clock import Clock
from local_runtime.scheduler.engine.events import micros
from local_runtime.scheduler.storage.database import first_key
from local_runtime.scheduler.storage.effects import Effects
from local_runtime.scheduler.storage.transaction import Transaction

logger = logging.getLogger("local_runtime.scheduler")

type Step[T] = Callable[[Transaction], T]

_TRIAL_SECONDS = 1.0  # between two looks whether a failing disk takes writes again
_TRIAL_BYTES = 262_144  # about what a busy moment writes
_MAX_GROUP = 500  # steps in one transaction: bounds how long the first of them waits


class StorageUnavailable(Exception):
    """The disk did not take the transaction: nothing of it has happened, and it may be retried."""


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
        self._keys = itertools.count(first_key(connection))
        self._waiting: list[tuple[Step[Any], asyncio.Future[Any]]] = []
        self._closed = False
        self._available = asyncio.Event()
        self._available.set()
        self._failure = ""

    @property
    def available(self) -> bool:
        """Whether the disk took the last transaction; work is handed out only while it does."""
        return self._available.is_set()

    @property
    def is_idle(self) -> bool:
        """Whether no step waits to be written."""
        return not self._waiting

    async def when_available(self) -> None:
        """Return once the disk takes writes."""
        await self._available.wait()

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
        if self._closed:
            future.set_exception(StorageUnavailable("the task hub is closed"))
            return future
        if not self.available:
            future.set_exception(_refused(self._failure))
            return future
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append((step, future))
        return future

    def checkpoint(self) -> None:
        """Move what the log holds into the file, as far as readers let it."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            self._fail(error)

    def close(self) -> None:
        """Commit what is queued and close the connection."""
        while self._waiting:
            self._flush()
        self._closed = True
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
        try:
            try:
                return self._commit_group(steps, self._run_step)
            except _StepFailed:
                # Once more from the beginning, so that only what a failing step did is undone.
                return self._commit_group(steps, self._attempt_step)
        except sqlite3.Error as error:
            self._fail(error)
            return [_refused(str(error))] * len(steps), Effects()

    def _fail(self, error: sqlite3.Error) -> None:
        if self.available:
            logger.error(
                "the disk does not take what is to be written to %s (%s): work stops until it "
                "does. Nothing that was acknowledged is lost. Check free space and permissions.",
                self._path,
                error,
            )
            self._failure = str(error)
            self._available.clear()
            self._loop.call_later(_TRIAL_SECONDS, self._try)

    def _try(self) -> None:
        """See whether the disk takes writes again; if not, once more after a while."""
        if self._closed:
            return
        try:
            self._commit_group([_write_something], self._run_step)
        except sqlite3.Error:
            self._loop.call_later(_TRIAL_SECONDS, self._try)
            return
        logger.warning("the disk takes writes to %s again: work goes on", self._path)
        self._available.set()
        self._on_commit(Effects())

    def _commit_group(
        self, steps: list[Step[Any]], run: Callable[[Step[Any], Transaction], Any]
    ) -> tuple[list[Any], Effects]:
        transaction = Transaction(
            self._connection, micros(self._clock.now()), self._new_id, self._keys.__next__
        )
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


def _refused(reason: str) -> StorageUnavailable:
    return StorageUnavailable(
        f"the disk does not take what is to be written ({reason}); nothing of this has happened. "
        "Check the free space and the permissions of the data folder, and try again"
    )


def _write_something(transaction: Transaction) -> None:
    """Write something and leave nothing of it."""
    connection = transaction.connection
    connection.execute("CREATE TABLE filler (bytes BLOB)")
    connection.execute("INSERT INTO filler VALUES (zeroblob(?))", (_TRIAL_BYTES,))
    connection.execute("DROP TABLE filler")


def _ignore(effects: Effects) -> None:
    del effects
