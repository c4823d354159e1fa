"""Work whose outcome was too large for the disk: when it, and other work, is handed out again.

Handed out at once it would run, fail to be recorded, and run again, for ever. So it waits until the
disk takes as many bytes as it refused. Other work may bring as much, and would run in vain, too: it
waits as well, for a minute. What never fits must not stop a task hub for longer than that, as long
as the disk takes small writes.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

logger = logging.getLogger("local_runtime.scheduler")

STOP_SECONDS = 60.0
"""How long all work waits for room for one outcome."""

_MARGIN = 1.25  # pages that are not full, and indexes
_ROOM_BYTES = 262_144  # for what else is written at the same time


class Shortage:
    """What waits for room, each with its size."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, Callable[[], None]]] = []
        self._stopped_at: float | None = None
        self._is_told = False

    @property
    def stops_work(self) -> bool:
        """Whether nothing is to be handed out."""
        return self._stopped_at is not None

    def includes(self, size: int) -> bool:
        """Whether as many bytes, or fewer, wait for room."""
        return bool(self._waiting) and self._waiting[0][0] <= size

    def add(self, size: int, then: Callable[[], None], now: float) -> None:
        """Something of this size was refused; `then` is called once there is room for it."""
        self._waiting.append((size, then))
        self._waiting.sort(key=lambda waiting: waiting[0])
        self._stopped_at = now

    def look(self, takes: Callable[[int], bool], now: float, path: str) -> bool:
        """Let go what there is room for, by what `takes` says; return whether nothing is left."""
        total = 0
        while self._waiting:
            (size, then) = self._waiting[0]
            total += size
            if not takes(int(total * _MARGIN) + _ROOM_BYTES):
                self._tell(size, now, path)
                return False
            del self._waiting[0]
            then()
        self._stopped_at = None
        self._is_told = False
        return True

    def _tell(self, size: int, now: float, path: str) -> None:
        if not self._is_told:
            self._is_told = True
            logger.warning(
                "the disk takes small writes to %s, but not the %d bytes of a result: it waits, "
                "and no work is handed out for %g s or until there is room. Free %d bytes.",
                path,
                size,
                STOP_SECONDS,
                int(2 * size * _MARGIN) + _ROOM_BYTES,
            )
        if self._stopped_at is not None and now - self._stopped_at >= STOP_SECONDS:
            self._stopped_at = None
            logger.error(
                "there is still no room for %d item(s) of work that ran and could not be recorded "
                "in %s: they wait until there is, and other work goes on. Free space, or terminate "
                "what brings so much.",
                len(self._waiting),
                path,
            )


class Measuring:
    """Counts the bytes that statements are given."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.size = 0

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, to be used in place of the one that is measured."""
        return cast("sqlite3.Connection", self)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute a statement, and count what it is given."""
        self._count(values)
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> sqlite3.Cursor:
        """Execute a statement for each row, and count what it is given."""
        rows = list(rows)
        for values in rows:
            self._count(values)
        return self._connection.executemany(statement, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def _count(self, values: Iterable[object]) -> None:
        self.size += sum(len(value) for value in values if isinstance(value, (str, bytes)))
