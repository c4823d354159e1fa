"""Keeps the parts of the runtime running: starts each in a process of its own, and again."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from local_runtime.errors import StartupError
from local_runtime.processes.child_process import ChildProcess

type Facts = Mapping[str, Any]

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_STEADY_SECONDS = 10.0

logger = logging.getLogger("local_runtime.processes.supervisor")


@dataclass(frozen=True)
class Part:
    """What to run in a process of its own."""

    name: str
    """What the part is called in messages, like `the scheduler`."""
    arguments: Callable[[Facts], Sequence[str]]
    """The command line, made of what the part reported last time (nothing at first), so that a
    part which found itself a free port gets the same one again."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Set on top of this process's own environment."""
    stop_seconds: float = 5.0
    """How long it may take to stop before it is killed."""


class Supervisor:
    """Starts parts, restarts those that die, and stops all of them at its end."""

    def __init__(self) -> None:
        self._kept: list[_Kept] = []

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
        kept = _Kept(part)
        self._kept.append(kept)
        return await kept.start()


class _Kept:
    """One part and the process that runs it at the moment."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._facts: Facts = {}
        self._process: ChildProcess | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> Facts:
        process = await self._begin()
        if self._stopping:
            raise StartupError(f"{self._name} was stopped as it started.")
        self._keeping = asyncio.create_task(self._keep(process))
        return self._facts

    async def stop(self) -> None:
        self._stopping = True
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
        if self._process is not None:
            await self._process.stop(self._part.stop_seconds)

    async def _begin(self) -> ChildProcess:
        part = self._part
        environment = {**os.environ, **part.environment}
        process = await ChildProcess.spawn(part.arguments(self._facts), environment)
        self._process = process
        report = await process.report()
        if report is None:
            raise StartupError(
                f"{part.name} ended as it started ({await process.ended()}); "
                "what it logged before says why."
            )
        if "error" in report:
            await process.stop(part.stop_seconds)
            raise StartupError(str(report["error"]))
        self._facts = report["ready"]
        logger.debug("%s is ready (process %d)", part.name, process.pid)
        return process

    async def _keep(self, process: ChildProcess) -> None:
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        running: ChildProcess | None = process
        while True:
            began = loop.time()
            if running is not None:
                how = await running.ended()
                logger.warning("%s ended unexpectedly (%s) and is started again", self._name, how)
            if loop.time() - began > _STEADY_SECONDS:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            running = await self._begin_again(pause)

    async def _begin_again(self, next_pause: float) -> ChildProcess | None:
        """Start the part once more; what fails now worked before, so it is tried again later."""
        try:
            process = await self._begin()
        except (StartupError, OSError) as error:
            logger.warning("%s did not start; next try in %g s: %s", self._name, next_pause, error)
            return None
        logger.info("%s runs again (process %d)", self._name, process.pid)
        return process

    @property
    def _name(self) -> str:
        return self._part.name
