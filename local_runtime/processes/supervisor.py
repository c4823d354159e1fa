"""Starts the parts of the runtime, and stops all of them at its end."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, NoReturn, Protocol

from local_runtime.errors import CannotGoOn
from local_runtime.processes.kept_part import Facts, KeptPart, Part


class Stoppable(Protocol):
    """Something that runs and can be stopped."""

    async def stop(self) -> None:
        """Stop it, and return when it has stopped."""


class Supervisor:
    """Starts parts, restarts those that die, and stops all of them at its end."""

    def __init__(self) -> None:
        self._kept: list[Stoppable] = []
        self._failures: asyncio.Queue[CannotGoOn] = asyncio.Queue()

    async def __aenter__(self) -> "Supervisor":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # One after the other, the last first: the host gives its work back to the scheduler.
        for kept in reversed(self._kept):
            await kept.stop()

    async def start(self, part: Part) -> Facts:
        """Start a part, and return what it reports once it is ready.

        Raises:
            StartupError: It cannot start; the message is its own.
        """
        kept = KeptPart(part, self._failures.put_nowait)
        self.keep(kept)
        facts = await kept.start()
        kept.begin()
        return facts

    async def failure(self) -> NoReturn:
        """Wait until a part cannot go on, if one ever does.

        Raises:
            CannotGoOn: One cannot; a person has to act.
        """
        raise await self._failures.get()

    async def unless_failing[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` does, and cancel it when a part cannot go on.

        Raises:
            CannotGoOn: One cannot.
        """
        doing = asyncio.create_task(work)
        failing = asyncio.create_task(self.failure())
        try:
            await asyncio.wait((doing, failing), return_when=asyncio.FIRST_COMPLETED)
            if failing.done():
                await failing
            return doing.result()
        finally:
            doing.cancel()
            failing.cancel()
            await asyncio.gather(doing, failing, return_exceptions=True)

    def keep(self, running: Stoppable) -> None:
        """Stop something else at the end as well, before what was there already."""
        self._kept.append(running)
