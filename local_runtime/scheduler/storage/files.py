"""Whether a task hub's files are still those that were opened, and nobody else has written them.

A file that was deleted or replaced can be written for as long as it is open: every commit succeeds,
and all of it is gone once the process ends.
"""

import errno
import logging
import os
from dataclasses import dataclass

logger = logging.getLogger("local_runtime.scheduler")

LOG = "-wal"
_SHARED = "-shm"
ASIDE = ".left"
"""Ends the name of a log that was put aside, because the file it belongs to is another one now."""

# Others, like a permission that is missing, do not tell that a file is gone.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ELOOP)


@dataclass(frozen=True, slots=True)
class Displaced:
    """Why a task hub cannot go on."""

    reason: str
    is_foreign: bool = False
    """Whether what is in the place of a file is not ours: it must not be written."""


class HubFiles:
    """The files of one open task hub, as they were when they were opened."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._opened = {suffix: _identity(path + suffix) for suffix in (LOG, _SHARED)}
        self._identity = _identity(path)
        self._written: tuple[int, int] | None = None
        self._log_bytes = 0
        self._beside(LOG)
        self.written()

    def written(self) -> Displaced | None:
        """Take the file as it is for our own work, if it is in its place; called at each commit."""
        return self._look(remember=True)

    def touched(self) -> Displaced | None:
        """Tell whether the file is another one, or somebody else has written it."""
        return self._look(remember=False)

    def fault(self) -> Displaced | None:
        """Look at all files of the hub."""
        return self.touched() or self._beside(_SHARED) or self._beside(LOG)

    def forget_log_size(self) -> None:
        """The log is made shorter by ourselves."""
        self._log_bytes = 0

    def put_log_aside(self) -> None:
        """Keep our log away from a file that is not ours: SQLite would write it into that one."""
        log = self._path + LOG
        if not os.path.exists(self._path) or _identity(log) != self._opened[LOG]:
            return
        try:
            os.replace(log, log + ASIDE)
        except OSError as error:
            logger.error(
                "%s belongs to another file than the one that is there, and could not be put aside "
                "(%s). Move it away before a scheduler starts again, if a copy was restored.",
                log,
                error.strerror,
            )

    def _look(self, *, remember: bool) -> Displaced | None:
        try:
            found = os.stat(self._path)
        except OSError as error:
            return _gone(self._path) if error.errno in _GONE else None
        if (found.st_dev, found.st_ino) != self._identity:
            return Displaced(f"{self._path} was replaced by another file", is_foreign=True)
        now = found.st_mtime_ns, found.st_size
        if remember:
            self._written = now
        elif now != self._written:
            return Displaced(f"{self._path} was written by another program", is_foreign=True)
        return None

    def _beside(self, suffix: str) -> Displaced | None:
        path = self._path + suffix
        try:
            found = os.stat(path)
        except OSError as error:
            return _gone(path) if error.errno in _GONE else None
        if (found.st_dev, found.st_ino) != self._opened[suffix]:
            return Displaced(f"{path} was replaced by another file")
        if suffix == LOG:
            if found.st_size < self._log_bytes:
                return Displaced(f"{path} was cut off by another program", is_foreign=True)
            self._log_bytes = found.st_size
        return None


def _gone(path: str) -> Displaced:
    return Displaced(f"{path} was deleted or moved")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
