"""A file that several processes read and change: told whether it has changed, one at a time."""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

type Stamp = tuple[int, int, int]
"""Tells one content of a file from another."""

NO_FILE: Stamp = (0, 0, 0)


def stamp_of(path: Path) -> Stamp:
    """Return the stamp of what the file holds now, without reading it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return NO_FILE
    return found.st_ino, found.st_mtime_ns, found.st_size


@contextlib.contextmanager
def locked(path: Path) -> Generator[None]:
    """Let one process at a time change the file, inside the `with`."""
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
