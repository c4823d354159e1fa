"""The processes of the Functions host: started together, and replaced together by new ones.

The first of them serves HTTP, on a socket that belongs to this group: no connection is refused
while that process is replaced or started again; clients wait until the next one takes them.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from local_runtime.errors import StartupError
from local_runtime.processes.kept_part import Facts, KeptPart, Part

logger = logging.getLogger("local_runtime.processes.supervisor")

_GIVE_UP_SECONDS = 1.0
# The old processes accept no more connections by then; a request may still be on its way.
_LAST_REQUEST_SECONDS = 1.0


class HostGroup:
    """The host's processes. Each generation of them loads the app as it is at that time."""

    def __init__(self, listener: socket.socket, parts: Callable[[], Sequence[Part]]) -> None:
        self._listener = listener
        self._parts = parts
        self._starting: list[KeptPart] = []
        self._current: list[KeptPart] = []
        self._handing_over: asyncio.Task[None] | None = None
        self._leaving: dict[asyncio.Task[None], list[KeptPart]] = {}

    async def start(self) -> Facts:
        """Start all processes, and return what the first reports once all of them are ready.

        Raises:
            StartupError: One of them cannot start.
        """
        facts = await self._load()
        self._begin()
        return facts

    async def replace(self) -> None:
        """Start new processes beside the old ones, which stop once the new ones are ready.

        The old ones first leave off what only one may do at a time and take no more work; only
        then the new ones begin; then the old ones finish what they do, for as long as any process
        may take to stop. When it is cancelled before the new ones are ready, the old ones go on.

        Raises:
            StartupError: One of the new ones cannot start. The old ones go on.
        """
        if self._handing_over is not None:
            # Of a call that was cancelled too late; how it ended, it has told itself.
            await asyncio.wait([self._handing_over])
        await self._load()
        self._handing_over = asyncio.create_task(self._hand_over())
        await asyncio.shield(self._handing_over)

    async def stop(self) -> None:
        """Stop all processes, old and new, at the same time."""
        leaving = [kept for group in self._leaving.values() for kept in group]
        await _all(kept.stop() for kept in (*self._starting, *self._current, *leaving))
        self._listener.close()

    async def _load(self) -> Facts:
        """Start a generation, which does not begin yet."""
        self._starting = [KeptPart(part) for part in self._parts()]
        try:
            return await self._start_all()
        except BaseException:
            starting, self._starting = self._starting, []
            # They have begun nothing that could be lost, and may hang in the app's code.
            await _all(kept.stop(_GIVE_UP_SECONDS) for kept in starting)
            raise

    async def _start_all(self) -> Facts:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(kept.start()) for kept in self._starting]
        except* StartupError as errors:
            # Of one broken app all of them complain, and several faults are mended one by one.
            raise first_of(errors) from None
        return tasks[0].result()

    async def _hand_over(self) -> None:
        old = self._current
        await _all(kept.make_way() for kept in old)
        self._begin()
        leaving = asyncio.create_task(_leave(old))
        self._leaving[leaving] = old
        leaving.add_done_callback(self._leaving.pop)

    def _begin(self) -> None:
        self._current, self._starting = self._starting, []
        for kept in self._current:
            kept.begin()


def first_of(group: BaseExceptionGroup[StartupError]) -> StartupError:
    """Return one error of several that happened at once."""
    error = group.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error


async def _leave(old: Sequence[KeptPart]) -> None:
    await asyncio.sleep(_LAST_REQUEST_SECONDS)
    try:
        await _all(kept.stop() for kept in old)
    except Exception:
        # Nobody waits for this; its parent's end will be theirs.
        logger.exception("processes of the app as it was before could not be stopped")


async def _all(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*coroutines)
