"""All task hubs of a data folder: one file each, opened on first use."""

import asyncio
import logging
import re
from datetime import timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from local_runtime import faults
from local_runtime.clock import Clock
from local_runtime.errors import StartupError
from local_runtime.scheduler.service.hub import Hub
from local_runtime.scheduler.storage.database import Durability

logger = logging.getLogger("local_runtime.scheduler")

DEFAULT_HUB = "default"

# A hub's name becomes part of a file name: nothing else is let through.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SUFFIX = ".taskhub.db"
_LOGS = ("-wal", "-shm")


class InvalidHubName(Exception):
    """A task hub's name that cannot be one."""


class Hubs:
    """Opens task hubs on first use; holds the data folder's lock while it lives."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        durability: Durability,
        lock: FileLock,
        retention: timedelta | None = None,
    ) -> None:
        self._folder = folder
        self._retention = retention
        self._clock = clock
        self._durability: Durability = durability
        self._lock = lock
        self._hubs: dict[str, Hub] = {}
        self._deletions: dict[str, asyncio.Task[None]] = {}

    @classmethod
    def open(
        cls,
        folder: Path,
        clock: Clock,
        durability: Durability,
        retention: timedelta | None = None,
    ) -> "Hubs":
        """Take the data folder, and open every task hub that is in it.

        Instances that ended longer than `retention` ago are deleted, now and from then on.

        Opening all of them lets timers go on that are due, whether or not a client comes.

        Raises:
            StartupError: the folder cannot be used, or another runtime uses it.
        """
        lock = _take(folder)
        hubs = cls(folder, clock, durability, lock, retention)
        try:
            for name in hubs.names():
                hubs.get(name)
        except BaseException:
            lock.release()
            raise
        return hubs

    def names(self) -> list[str]:
        """Return the names of the hubs that exist, sorted."""
        found = {path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}")}
        return sorted(found | set(self._hubs))

    def opened(self) -> list[Hub]:
        """Return the hubs that are at work."""
        return list(self._hubs.values())

    def get(self, name: str) -> Hub:
        """Return a hub by name, which is the same in upper and lower case; make it if it is new.

        Raises:
            InvalidHubName: the name is not one.
            StartupError: its file cannot be used.
        """
        key = _key(name)
        hub = self._hubs.get(key)
        if hub is None:
            path = self._folder / f"{_checked(key)}{_SUFFIX}"
            hub = Hub.open(key, path, self._clock, self._durability, retention=self._retention)
            self._hubs[key] = hub
        return hub

    async def use(self, name: str) -> Hub:
        """Return a hub as `get` does; if it is being deleted, the one that comes after."""
        while self._deletions and (deletion := self._deletions.get(_key(name))) is not None:
            await asyncio.wait([deletion])
        return self.get(name)

    async def delete(self, name: str) -> None:
        """Delete a hub and its file; one that is not there is gone already.

        Raises:
            InvalidHubName: the name is not one.
            StartupError: its file cannot be deleted.
        """
        key = _checked(_key(name))
        deletion = self._deletions.get(key)
        if deletion is None:
            deletion = asyncio.create_task(self._delete(key), name=f"delete task hub {key}")
            self._deletions[key] = deletion
        # A caller who hangs up leaves no hub behind that is closed and still there.
        await asyncio.shield(deletion)

    async def _delete(self, key: str) -> None:
        hub = self._hubs.pop(key, None)
        try:
            if hub is not None:
                await hub.close()
            for suffix in ("", *_LOGS):
                faults.reach("hub.delete")
                (self._folder / f"{key}{_SUFFIX}{suffix}").unlink(missing_ok=True)
            logger.info("task hub %s: deleted", key)
        except OSError as error:
            raise StartupError(
                f"the task hub {key} cannot be deleted: {error.strerror or error}. "
                "Check the permissions of the data folder."
            ) from error
        finally:
            del self._deletions[key]
            if hub is not None:
                hub.dismiss()

    async def close(self) -> None:
        """Close every hub and give the folder back."""
        await asyncio.gather(*self._deletions.values(), return_exceptions=True)
        await asyncio.gather(*(hub.close() for hub in self._hubs.values()))
        self._lock.release()


def _key(name: str) -> str:
    return (name or DEFAULT_HUB).lower()


def _checked(key: str) -> str:
    if _NAME.fullmatch(key) is None:
        raise InvalidHubName(
            "a task hub's name is 1 to 64 letters, digits, '-' or '_', "
            "and begins with a letter or a digit"
        )
    return key


def _clear_up(folder: Path) -> None:
    """Delete what a kill in the midst of a hub's deletion has left: logs without their file."""
    for suffix in _LOGS:
        for log in folder.glob(f"*{_SUFFIX}{suffix}"):
            if not log.with_name(log.name.removesuffix(suffix)).exists():
                log.unlink()


def _take(folder: Path) -> FileLock:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The operating system gives this lock back when the process dies, however it dies.
        lock = FileLock(folder / "scheduler.lock")
        lock.acquire(timeout=0)
        # Histories hold prompts and replies: they must not end up in the app's repository.
        ignore = folder / ".gitignore"
        if not ignore.exists() or not ignore.stat().st_size:  # empty: a kill came between
            ignore.write_text("*\n")
        _clear_up(folder)
    except Timeout:
        raise StartupError(
            f"the data folder {folder} is in use by another runtime. "
            "Stop that one first, or give this one a folder of its own with --data."
        ) from None
    except OSError as error:
        raise StartupError(
            f"the data folder {folder} cannot be used: {error.strerror or error}. "
            "Check its permissions, or give another one with --data."
        ) from error
    return lock
