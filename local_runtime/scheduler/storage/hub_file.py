"""Looks at a task hub's file before SQLite does, which would change it in opening it.

Source of the header's layout: https://www.sqlite.org/fileformat2.html#the_database_header.
"""

import contextlib
import os
import sqlite3
import struct
from collections.abc import Generator
from pathlib import Path

from local_runtime.errors import StartupError
from local_runtime.scheduler.storage.schema import APPLICATION_ID, SCHEMA_VERSION
from local_runtime.scheduler.storage.wal_file import LogDamage, Wal

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_LOGS = ("-wal", "-shm")
_OURS = {"instances", "history", "inbox", "tasks", "delayed", "entities", "critical_sections"}
_ELSE = "or start with another --data folder"


def check(path: Path) -> Wal | None:
    """Let a task hub's file pass, and return its log if there is something in it.

    Nothing is changed, neither of the file nor of what lies beside it.

    Raises:
        StartupError: it is none, or of a newer version, or cannot be read and written.
    """
    try:
        if not path.is_file():
            raise StartupError(
                f"the task hub's file {path} cannot be used: it is no file. Move it away, {_ELSE}."
            )
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        _check_header(path, header)
        log = Wal.read(path, page_size(header))
    except OSError as error:
        raise StartupError(
            f"the task hub's file {path} cannot be used: {error.strerror or error}. "
            f"Check its permissions, restore a copy, {_ELSE}."
        ) from error
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise StartupError(
            f"the task hub's file {path} cannot be used: it or its folder may not be written. "
            f"Check the permissions, {_ELSE}."
        )
    current = log.first_page() if log is not None else None
    _check_version(path, current or header)
    if _number(header, 68) != APPLICATION_ID and _number(current or header, 68) != APPLICATION_ID:
        _check_tables(path, log)
    return log


def page_size(header: bytes) -> int:
    """Return the size of a file's pages."""
    (found,) = struct.unpack_from(">H", header, 16)
    return 65_536 if found == 1 else max(found, 512)


def refuse_damaged_log(path: Path, damage: LogDamage) -> StartupError:
    """Return what to say of a log from which SQLite would drop what was acknowledged."""
    return StartupError(
        f"the task hub's file {path} cannot be used: its log {path.name}-wal is damaged "
        f"({damage.what}), and {damage.transactions} transaction(s) that were acknowledged stand "
        "in the part that would be lost. Nothing has been changed. Restore a copy of the file and "
        "its log; or accept the loss with `python -m local_runtime accept-damage --data "
        f"{path.parent}`, which first keeps a copy of both; {_ELSE}."
    )


@contextlib.contextmanager
def no_logs_left(path: Path) -> Generator[None]:
    """If what is done fails, leave no log behind that was not there before."""
    before = {suffix for suffix in _LOGS if _beside(path, suffix).exists()}
    try:
        yield
    except BaseException:
        if "-wal" not in before:  # else what is in it may be the file's
            for suffix in _LOGS:
                if suffix not in before:
                    _beside(path, suffix).unlink(missing_ok=True)
        raise


def _check_header(path: Path, header: bytes) -> None:
    if not header:
        raise StartupError(
            f"the task hub's file {path} cannot be used: it is empty, and a task hub's never is. "
            f"Restore a copy; or delete it, if it never had content; {_ELSE}."
        )
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise StartupError(
            f"the task hub's file {path} cannot be used: it is no SQLite file, or its beginning is "
            f"damaged. Restore a copy, {_ELSE}."
        )


def _check_version(path: Path, header: bytes) -> None:
    application = _number(header, 68)
    if application not in (0, APPLICATION_ID):
        raise StartupError(
            f"the task hub's file {path} cannot be used: it belongs to another application "
            f"(number {application}). Move it away, {_ELSE}."
        )
    version = _number(header, 60)
    if version > SCHEMA_VERSION:
        raise StartupError(
            f"the task hub's file {path} has schema {version}, and this version knows "
            f"{SCHEMA_VERSION} at most. It has not been changed. "
            f"Use the newer version that wrote it, {_ELSE}."
        )


def _check_tables(path: Path, log: Wal | None) -> None:
    """Let files of older versions pass, which did not yet say whose they are."""
    # Without a log the file is all there is, and SQLite may be kept from making any beside it.
    mode = "mode=ro" if log is not None else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)
    try:
        with no_logs_left(path):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            tables = {
                name
                for (name,) in connection.execute(
                    "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
                )
            }
    finally:
        connection.close()
    if not (tables >= _OURS if version else not tables):
        raise StartupError(
            f"the task hub's file {path} cannot be used: it is no task hub's, but another "
            f"application's. Move it away, {_ELSE}."
        )


def _number(header: bytes, offset: int) -> int:
    return int.from_bytes(header[offset : offset + 4])


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
