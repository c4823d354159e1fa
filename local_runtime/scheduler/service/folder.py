"""The data folder, held by one scheduler: locked while it lives, and watched."""

import contextlib
import fcntl
import hashlib
import os
import socket
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from local_runtime.errors import CannotGoOn, StartupError
from local_runtime.scheduler.storage.database import UNFINISHED

SUFFIX = ".taskhub.db"
LOGS = ("-wal", "-shm")
_LOCK = "scheduler.lock"


class DataFolder:
    """A folder that this process alone uses until `release`. Made by `take`."""

    def __init__(self, path: Path, held: contextlib.ExitStack, descriptor: int) -> None:
        self.path = path
        self._held = held
        self._descriptor = descriptor
        self._lock = os.stat(path / _LOCK)

    @classmethod
    def take(cls, path: Path, *, expected: bool = False) -> "DataFolder":
        """Make the folder if it is not there, and lock it.

        Args:
            path: Where it is.
            expected: Whether a scheduler has used it before: then it is not made anew.

        Raises:
            StartupError: the folder cannot be used, or another runtime uses it.
            CannotGoOn: it was expected, and is not there any more.
        """
        if expected and not (path / _LOCK).exists():
            raise CannotGoOn(lost(f"{path} was deleted, moved or emptied", path))
        held = contextlib.ExitStack()
        try:
            path.mkdir(parents=True, exist_ok=True)
            descriptor = _lock(path, held)
            # Histories hold prompts and replies: they must not end up in the app's repository.
            ignore = path / ".gitignore"
            if not ignore.exists() or not ignore.stat().st_size:  # empty: a kill came between
                ignore.write_text("*\n")
            _clear_up(path)
            return cls(path, held, descriptor)
        except (Timeout, BlockingIOError):
            held.close()
            raise StartupError(
                f"the data folder {path} is in use by another runtime. "
                "Stop that one first, or give this one a folder of its own with --data."
            ) from None
        except OSError as error:
            held.close()
            raise StartupError(
                f"the data folder {path} cannot be used: {error.strerror or error}. "
                "Check its permissions, or give another one with --data."
            ) from error

    def fault(self) -> str | None:
        """Tell whether the folder is gone, or could be taken by another scheduler."""
        try:
            found = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return f"{self.path} was deleted or moved"
        except OSError:
            return None  # a permission, perhaps: what is open goes on
        if not os.path.samestat(found, os.fstat(self._descriptor)):
            return f"{self.path} was replaced by another folder"
        try:
            lock = os.stat(self.path / _LOCK)
        except FileNotFoundError:
            return f"{self.path / _LOCK} was deleted or moved"
        except OSError:
            return None
        if not os.path.samestat(lock, self._lock):
            return f"{self.path / _LOCK} was replaced by another file"
        return None

    def release(self) -> None:
        """Give the folder back."""
        self._held.close()


def lost(reason: str, folder: Path) -> str:
    """Say, to a person, that data is gone and what to do about it."""
    return (
        f"{reason} while the scheduler used it. Nothing is acknowledged any more, and the "
        f"scheduler ends. Put back what is missing in {folder}, as it was or from a copy, and "
        "start again; what is not put back is gone, and its task hub begins empty."
    )


def _lock(path: Path, held: contextlib.ExitStack) -> int:
    """Lock a folder in three ways; the system gives all of them back when the process dies.

    The lock on the file is that of other versions. The one on the folder itself holds when the file
    is deleted, and goes along when the folder is moved. The name holds the place it was moved from.

    Raises:
        Timeout, BlockingIOError: another process holds one of them.
    """
    file = FileLock(path / _LOCK)
    file.acquire(timeout=0)
    held.callback(file.release)
    descriptor = os.open(path, os.O_RDONLY)
    held.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # not every network file system locks folders
    if sys.platform == "linux":
        name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
        holder = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        try:
            holder.bind(f"\0durable-scheduler-{os.getuid()}-{name}")  # in no directory
        except OSError as error:
            raise BlockingIOError from error
    return descriptor


def _clear_up(folder: Path) -> None:
    """Delete what a kill in the midst of a hub's making or deletion has left.

    That is a file which is not whole yet, with its logs; and logs without their file.
    """
    for suffix in UNFINISHED:
        for left in folder.glob(f"*{SUFFIX}{suffix}"):
            left.unlink()
    for suffix in LOGS:
        for log in folder.glob(f"*{SUFFIX}{suffix}"):
            if not log.with_name(log.name.removesuffix(suffix)).exists():
                log.unlink()
