"""Opens a task hub's file: settings, integrity, schema."""

import contextlib
import logging
import sqlite3
from pathlib import Path
from typing import Literal

from local_runtime import faults
from local_runtime.errors import StartupError
from local_runtime.scheduler.storage.schema import MIGRATIONS, SCHEMA_VERSION

logger = logging.getLogger("local_runtime.scheduler")

_LOG_BYTES = 4_100_000  # what SQLite lets the log grow to before it begins it anew: 1000 pages

_KEYS = 2**32  # rows that one process can write; there is room for 2**31 processes

_INCREMENTAL = 2  # the mode of SQLite in which space is freed when asked for

type Durability = Literal["full", "relaxed"]


def open_writer(path: Path, durability: Durability) -> sqlite3.Connection:
    """Open the one connection that writes; creates the file and brings its schema up to date.

    Raises:
        StartupError: the file is damaged, was written by a newer version, or cannot be opened.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path, durability)
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        raise StartupError(
            f"the task hub's file {path} cannot be used: {error}. "
            "Check its permissions and the free space, restore a copy, "
            "or start with another --data folder."
        ) from error
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, durability: Durability) -> None:
    # Before anything is written: a file that is there keeps its own way, see _make_shrinkable.
    connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -32768")
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > SCHEMA_VERSION:
        raise StartupError(
            f"the task hub's file {path} has schema {found}, and this version knows "
            f"{SCHEMA_VERSION} at most. Use the newer version that wrote it, "
            "or start with another --data folder."
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StartupError(
            f"the task hub's file {path} is damaged ({verdict}). Restore a copy, "
            "or start with another --data folder."
        )
    for version in range(found + 1, SCHEMA_VERSION + 1):
        # One transaction: a crash in the middle leaves the older schema whole.
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{MIGRATIONS[version]}\nPRAGMA user_version = {version};"
        )
        faults.reach("migration.half")
        connection.execute("COMMIT")
    connection.execute("UPDATE counters SET value = value + ? WHERE name = 'next_key'", (_KEYS,))
    _make_shrinkable(connection, path)
    if durability == "full":  # else commits are not flushed, and a log may grow at no cost
        _lay_out_log(connection)


def _make_shrinkable(connection: sqlite3.Connection, path: Path) -> None:
    """Rewrite, once, a file of a version whose files could only grow."""
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if mode == _INCREMENTAL:
        return
    try:
        connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        # It needs room for a second copy; without, the file is as it was.
        logger.warning(
            "the task hub's file %s could not be rewritten so that it can shrink (%s): it works "
            "as before, and the next start tries again",
            path,
            error,
        )


def _lay_out_log(connection: sqlite3.Connection) -> None:
    """Give the write-ahead log its usual size at once.

    A log that grows makes the file system note its new length at every flush, which takes about
    as long again as the flush itself; one that is written anew from its beginning does not.
    """
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE filler (bytes BLOB)")
    connection.execute(f"INSERT INTO filler VALUES (zeroblob({_LOG_BYTES}))")
    connection.execute("DROP TABLE filler")
    faults.reach("log.half")
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()


def first_key(connection: sqlite3.Connection) -> int:
    """Return the first of the row keys that are this process's own, and no earlier one's."""
    (end,) = connection.execute("SELECT value FROM counters WHERE name = 'next_key'").fetchone()
    return end - _KEYS


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that only reads: it sees what has been committed, and blocks nobody."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with contextlib.suppress(sqlite3.DatabaseError):
        connection.execute("PRAGMA cache_size = -8192")
    connection.execute("PRAGMA query_only = 1")
    return connection
