"""Runs groups of steps on the connection that writes, each group in one transaction."""

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
from local_runtime.scheduler.storage.database import first_key
from local_runtime.scheduler.storage.effects import Effects
from local_runtime.scheduler.storage.files import Displaced, HubFiles
from local_runtime.scheduler.storage.shortage import Measuring
from local_runtime.scheduler.storage.transaction import Transaction, is_the_disks

logger = logging.getLogger("local_runtime.scheduler")

type Step[T] = Callable[[Transaction], T]
type Done = tuple[list[Any], Effects]

TRIAL_BYTES = 262_144  # about what a busy moment writes; a step of more than half is large
_LOG_BYTES = 4_200_000  # what the log usually has: it is not made shorter than that


class NotInPlace(Exception):
    """The hub's files are not what they were: what was written is not there, or must not be."""

    def __init__(self, displaced: Displaced) -> None:
        super().__init__(displaced.reason)
        self.displaced = displaced


class _StepFailed(Exception):
    """A step of a group raised; which one, and what, comes out when they are run one by one."""


class Commits:
    """The connection that writes, and the files it writes.

    All methods raise NotInPlace when the files are not what they were.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        files: HubFiles,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._connection = connection
        self._files = files
        self._clock = clock
        self._new_id = new_id
        self._keys = itertools.count(first_key(connection))

    def commit(self, steps: list[Step[Any]]) -> Done:
        """Run steps in one transaction; the result of one that raises is what it raised.

        Raises:
            sqlite3.Error: The disk did not take it, and nothing of it has happened.
        """
        _require(self._files.touched())
        try:
            done = self._commit_group(steps, self._run_step)
        except _StepFailed:
            # Once more from the beginning, so that only what a failing step did is undone.
            done = self._commit_group(steps, self._attempt_step)
        _require(self._files.written())
        return done

    def takes(self, size: int) -> bool:
        """Whether the disk takes so many bytes."""
        try:
            self.commit([partial(_write_something, size)])
        except sqlite3.Error:
            return False
        return True

    def takes_large(self, size: int) -> bool:
        """Whether the disk takes so many bytes; if so, it has room for them from now on.

        The log is moved into the file before, so that it begins anew and trials do not pile up in
        it, and after, so that its whole length is there for what comes.
        """
        try:
            return self.move_log() and self.takes(size) and self.move_log()
        except sqlite3.Error:
            return False

    def move_log(self) -> bool:
        """Move the log into the file as far as readers let it; return whether all of it was.

        Raises:
            sqlite3.Error: The disk did not take it.
        """
        _require(self._files.touched())
        moved = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        _require(self._files.written())
        (_, written, done) = moved
        return written == done

    def shorten_log(self) -> None:
        """Give back what writes that failed have made the log longer: the file may need it."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
            # SQLite cuts it off at the first commit after all of it has been moved.
            if self.move_log():
                self.takes(1)
            self._files.forget_log_size()
            self._connection.execute("PRAGMA journal_size_limit = -1")

    def measure(self, step: Step[Any]) -> int:
        """Return about how many bytes a step writes if they are many, and else 0.

        It is done and undone in memory.
        """
        measuring = Measuring(self._connection)
        try:
            self._connection.execute("PRAGMA cache_spill = OFF")
            self._connection.execute("BEGIN IMMEDIATE")
            step(self._transaction(measuring.connection))
        except Exception as error:  # what it wrote until then has been counted
            logger.debug("a step that failed was measured up to %s", error)
        finally:
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._connection.execute("PRAGMA cache_spill = ON")
        return measuring.size if measuring.size > TRIAL_BYTES // 2 else 0

    def _transaction(self, connection: sqlite3.Connection) -> Transaction:
        return Transaction(connection, micros(self._clock.now()), self._new_id, self._keys.__next__)

    def _commit_group(
        self, steps: list[Step[Any]], run: Callable[[Step[Any], Transaction], Any]
    ) -> Done:
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
            if is_the_disks(error):
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
            if is_the_disks(error):
                raise
            self._connection.execute("ROLLBACK TO step")
            result = error
        else:
            whole.add(transaction.effects)
        transaction.effects = whole
        self._connection.execute("RELEASE step")
        return result


def _require(displaced: Displaced | None) -> None:
    if displaced is not None:
        raise NotInPlace(displaced)


def _write_something(size: int, transaction: Transaction) -> None:
    """Write so many bytes and leave nothing of them."""
    connection = transaction.connection
    connection.execute("CREATE TABLE filler (bytes BLOB)")
    connection.execute("INSERT INTO filler VALUES (zeroblob(?))", (size,))
    connection.execute("DROP TABLE filler")
