"""All task hubs of a data folder: one file each, opened on first use."""

import asyncio
import logging
import re
import sqlite3
from datetime import timedelta
from pathlib import Path

from local_runtime import descriptors, faults
from local_runtime.clock import Clock
from local_runtime.errors import CannotGoOn, StartupError
from local_runtime.scheduler.service.folder import LOGS, SUFFIX, DataFolder, lost
from local_runtime.scheduler.service.hub import Hub
from local_runtime.scheduler.storage.database import UNFINISHED, Durability
from local_runtime.scheduler.storage.files import ASIDE, LOG
from local_runtime.scheduler.storage.writer import StorageUnavailable

logger = logging.getLogger("local_runtime.scheduler")

DEFAULT_HUB = "default"

# A hub's name becomes part of a file name: nothing else is let through.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LOOK_SECONDS = 0.2  # between two looks whether the files are still there

_TELL_SECONDS = 0.5  # in which every call is refused, before the scheduler ends


class InvalidHubName(Exception):
    """A task hub's name that cannot be one."""


class Hubs:
    """Opens task hubs on first use; holds the data folder's lock while it lives."""

    def __init__(
        self,
        folder: DataFolder,
        clock: Clock,
        durability: Durability,
        retention: timedelta | None = None,
    ) -> None:
        self._taken = folder
        self._folder = folder.path
        self._retention = retention
        self._clock = clock
        self._durability: Durability = durability
        self._hubs: dict[str, Hub] = {}
        self._deletions: dict[str, asyncio.Task[None]] = {}
        self._lost = ""

    @classmethod
    def open(
        cls,
        folder: Path,
        clock: Clock,
        durability: Durability,
        retention: timedelta | None = None,
        *,
        expected: bool = False,
    ) -> "Hubs":
        """Take the data folder, and open every task hub that is in it.

        Instances that ended longer than `retention` ago are deleted, now and from then on.
        A folder that is `expected` to be there is not made anew.

        Opening all of them lets timers go on that are due, whether or not a client comes.

        Raises:
            StartupError: the folder cannot be used, or another runtime uses it.
            CannotGoOn: it was expected, and is not there any more.
        """
        taken = DataFolder.take(folder, expected=expected)
        hubs = cls(taken, clock, durability, retention)
        try:
            for name in hubs.names():
                hubs.get(name)
        except BaseException:
            taken.release()
            raise
        return hubs

    async def watch(self) -> None:
        """Look after the folder and the files in it, until one is gone or not ours any more.

        Raises:
            CannotGoOn: one is. From now on every call is refused, and nothing is handed out.
        """
        while True:
            reason = self._fault()
            if reason is not None:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        self._lost = lost(reason, self._folder)
        logger.error("%s", self._lost)
        for hub in self._hubs.values():
            hub.lose(self._lost)
        # Who waited asks again now: they are told why, and not merely cut off.
        await asyncio.sleep(_TELL_SECONDS)
        raise CannotGoOn(self._lost)

    def _fault(self) -> str | None:
        reason = self._taken.fault()
        for hub in self._hubs.values():
            displaced = hub.writer.look()
            if displaced is not None and reason is None:
                reason = displaced.reason
        return reason

    def names(self) -> list[str]:
        """Return the names of the hubs that exist, sorted."""
        found = {path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"*{SUFFIX}")}
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
            path = self._folder / f"{_checked(key)}{SUFFIX}"
            self._check(path)
            hub = self._hubs[key] = self._open(key, path)
        return hub

    def _open(self, key: str, path: Path) -> Hub:
        try:
            return Hub.open(key, path, self._clock, self._durability, retention=self._retention)
        except (StartupError, sqlite3.Error, OSError) as error:
            # SQLite does not tell why a file cannot be opened.
            if not descriptors.are_used_up():
                raise
            raise StartupError(
                f"the task hub {key} cannot be opened: the scheduler has no open files left. "
                f"{descriptors.HOW_TO_RAISE}"
            ) from error

    async def use(self, name: str) -> Hub:
        """Return a hub as `get` does; if it is being deleted, the one that comes after."""
        if self._lost:
            raise StorageUnavailable(self._lost)
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
            for suffix in ("", *LOGS, LOG + ASIDE, *UNFINISHED):
                faults.reach("hub.delete")
                (self._folder / f"{key}{SUFFIX}{suffix}").unlink(missing_ok=True)
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
        self._taken.release()

    def _check(self, path: Path) -> None:
        """Refuse to open a hub where it would be lost, or would take what is not its own."""
        reason = self._taken.fault()
        if reason is not None:
            raise StartupError(lost(reason, self._folder))
        left = path.with_name(path.name + LOG + ASIDE)
        if left.exists():
            raise StartupError(
                f"{path} was replaced or written by another program while a scheduler used it. "
                f"What the scheduler had not moved into it is in {left}. If a copy was put in its "
                f"place on purpose, delete {left.name}; if not, and it is the same file, rename "
                f"{left.name} to {path.name}{LOG}. Then start again."
            )


def _key(name: str) -> str:
    return (name or DEFAULT_HUB).lower()


def _checked(key: str) -> str:
    if _NAME.fullmatch(key) is None:
        raise InvalidHubName(
            "a task hub's name is 1 to 64 letters, digits, '-' or '_', "
            "and begins with a letter or a digit"
        )
    return key
