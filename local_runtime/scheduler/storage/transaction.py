"""What each step of a transaction works with: the connection, the time, new ids, the effects."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from local_runtime.scheduler.storage.effects import Effects

_PRIMARY_CODE = 0xFF  # SQLite's extended error codes add bits above


@dataclass(slots=True)
class Transaction:
    """One open transaction; lives no longer than the function it is given to."""

    connection: sqlite3.Connection
    now: int
    new_id: Callable[[], str]
    new_key: Callable[[], int]
    effects: Effects = field(default_factory=Effects)

    def for_all[Row](
        self, rows: Sequence[Row], act: Callable[[Sequence[Row]], None]
    ) -> list[tuple[Row, Exception]]:
        """Act on rows, and return those with which that cannot be done, each with the reason.

        Of those nothing is changed. All rows are tried together, since nearly always all succeed;
        if not, one by one.
        """
        if not rows:
            return []
        error = self._attempt(lambda: act(rows))
        if error is None:
            return []
        if len(rows) == 1:
            return [(rows[0], error)]
        return [failed for row in rows for failed in self.for_all([row], act)]

    def _attempt(self, act: Callable[[], None]) -> Exception | None:
        """Do something; if it fails, undo what it changed, and return why."""
        before = self.effects
        self.effects = Effects()
        self.connection.execute("SAVEPOINT attempt")
        try:
            act()
        except Exception as error:
            if is_the_disks(error) and not _is_damage(error):
                raise
            self.connection.execute("ROLLBACK TO attempt")
            found = error
        else:
            before.add(self.effects)
            found = None
        self.effects = before
        self.connection.execute("RELEASE attempt")
        return found


def is_the_disks(error: Exception) -> bool:
    """Whether an error is the disk's or the file's, and not that of the step it came out of."""
    own = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)
    if not isinstance(error, sqlite3.Error) or isinstance(error, own):
        return False
    # One without a code is not of SQLite: a text of that row cannot be decoded.
    return _code(error) is not None


def _is_damage(error: Exception) -> bool:
    """Whether an error is of one damaged place in the file, while the rest of it may be sound."""
    code = _code(error)
    return code is not None and code & _PRIMARY_CODE == sqlite3.SQLITE_CORRUPT


def _code(error: Exception) -> int | None:
    return getattr(error, "sqlite_errorcode", None)
