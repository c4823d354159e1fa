"""Opens a task hub's file: what it is, whether it is whole, settings, schema."""

import contextlib
import logging
import os
import sqlite3
import struct
from pathlib import Path
from typing import Literal

from local_runtime import faults
from local_runtime.errors import StartupError
from local_runtime.scheduler.storage import checksums, hub_file, integrity
from local_runtime.scheduler.storage.damage import read_text
from local_runtime.scheduler.storage.schema import MIGRATIONS, SCHEMA_VERSION
from local_runtime.scheduler.storage.wal_file import Wal

logger = logging.getLogger("local_runtime.scheduler")

CHECKED_AT_START = 16 * 1024 * 1024
"""Up to what size a file's indexes are checked before it is used; those of others are later."""

UNFINISHED = (".new", ".new-journal", ".new-wal", ".new-shm")
"""End the names of a file that is not whole yet, and of what SQLite lays beside it."""

_LOG_BYTES = 4_100_000  # what SQLite lets the log grow to before it begins it anew: 1000 pages

_KEYS = 2**32  # rows that one process can write; there is room for 2**31 processes

_INCREMENTAL = 2  # the mode of SQLite in which space is freed when asked for

_FIRST_WITH_CHECKSUMS = 4  # of the schemas

# How many frames of the log are good, in its index: https://www.sqlite.org/walformat.html.
_INDEX_HEADER = struct.Struct("=I8x?3xI")
_INDEX_FORMAT = 3_007_000

type Durability = Literal["full", "relaxed"]


def open_writer(path: Path, durability: Durability) -> sqlite3.Connection:
    """Open the one connection that writes; creates the file and brings its schema up to date.

    A file that cannot be used is left as it is, and so is what lies beside it.

    Raises:
        StartupError: the file is damaged, was written by a newer version, or cannot be opened.
    """
    try:
        if not os.path.lexists(path):
            _create(path)
        log = hub_file.check(path)
        with hub_file.no_logs_left(path):
            return _open(path, log, durability)
    except (sqlite3.DatabaseError, OSError, UnicodeError) as error:  # of a damaged schema, too
        raise StartupError(
            f"the task hub's file {path} cannot be used: {error}. "
            "Check its permissions and the free space, restore a copy, "
            "or start with another --data folder."
        ) from error


def _create(path: Path) -> None:
    """Make an empty task hub, under another name until it is whole.

    So a file that is empty, or not whole, is never one whose maker was killed.
    """
    for suffix in UNFINISHED:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    new = path.with_name(path.name + UNFINISHED[0])
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
        _migrate(connection)
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
    for suffix in ("-wal", "-shm"):  # of one that is gone: they must not be taken for its own
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    new.replace(path)
    with contextlib.suppress(OSError):  # not every system can
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _open(path: Path, log: Wal | None, durability: Durability) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        # Until all is well: the last connection to close would move the log into the file.
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        damaged_indexes = _prepare(connection, path, log, durability)
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, False)
        integrity.rebuild(connection, damaged_indexes)
        _make_shrinkable(connection, path)
        if durability == "full":  # else commits are not flushed, and a log may grow at no cost
            _lay_out_log(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.text_factory = read_text
    return connection


def _prepare(
    connection: sqlite3.Connection, path: Path, log: Wal | None, durability: Durability
) -> list[str]:
    """Set up a connection, once nothing is found to be wrong; return which indexes are damaged."""
    connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -32768")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA user_version").fetchone()  # here SQLite reads the log
    damage = log.damage(_good_frames(path)) if log is not None else None
    if damage is not None:
        raise hub_file.refuse_damaged_log(path, damage)
    is_small = path.stat().st_size <= CHECKED_AT_START
    damaged_indexes = integrity.check_structure(connection, path, with_indexes=is_small)
    # From here on it would only tell sooner of what comes later, for a tenth of a step's time.
    connection.execute("PRAGMA cell_size_check = OFF")
    _migrate(connection)
    _check_schema(connection, path)
    connection.execute("UPDATE counters SET value = value + ? WHERE name = 'next_key'", (_KEYS,))
    connection.execute("PRAGMA journal_mode = WAL")
    return damaged_indexes


def _good_frames(path: Path) -> int | None:
    """Return how many frames of the log SQLite goes by, or None if it does not say."""
    try:
        with path.with_name(f"{path.name}-shm").open("rb") as index:
            found, is_set, frames = _INDEX_HEADER.unpack(index.read(_INDEX_HEADER.size))
    except (OSError, struct.error):
        return None
    return frames if found == _INDEX_FORMAT and is_set else None


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, in one transaction: if it fails, nothing of it has happened."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for version in range(found + 1, SCHEMA_VERSION + 1):
        for statement in _statements(MIGRATIONS[version]):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
        if version == _FIRST_WITH_CHECKSUMS:
            checksums.add_missing(connection)
        faults.reach("migration.half")
    connection.execute("COMMIT")


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Let a file pass that has the tables and indexes that it should, word by word."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        for script in MIGRATIONS.values():
            fresh.executescript(script)
        wrong = _definitions(fresh).items() - _definitions(connection).items()
    if wrong:
        names = ", ".join(sorted(name for name, _ in wrong))
        raise StartupError(
            f"the task hub's file {path} is damaged (the definition of {names} is another one). "
            "Restore a copy, or start with another --data folder."
        )


def _definitions(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    # How SQLite puts an added column behind the others may be spaced in another way elsewhere.
    return {str(name): "".join(str(sql).split()) for name, sql in rows}


def _statements(script: str) -> list[str]:
    """Return the statements of a script; `executescript` would commit before it."""
    found: list[str] = []
    pending = ""
    for part in script.split(";"):
        pending += f"{part};"
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    return found


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
    connection = _connect(path)
    with contextlib.suppress(sqlite3.DatabaseError):
        connection.execute("PRAGMA cache_size = -8192")
    connection.execute("PRAGMA query_only = 1")
    return connection
