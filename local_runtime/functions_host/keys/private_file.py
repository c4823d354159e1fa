"""A small file that only its owner may read, written whole or not at all."""

import contextlib
import fcntl
import os
import tempfile
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


def write_private(path: Path, text: str) -> None:
    """Put `text` in the place of what the file holds; it is on disk when this returns.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    # Made with mode 0600.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def locked(path: Path) -> Generator[None]:
    """Let one process at a time change the file, inside the `with`."""
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
