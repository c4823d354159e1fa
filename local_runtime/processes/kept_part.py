"""Keeps one part of the runtime running: in a process of its own, and in another when that dies."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local_runtime.background import BackgroundTask
from local_runtime.clock import SystemClock
from local_runtime.descriptors import HOW_TO_RAISE, OUT
from local_runtime.errors import CannotGoOn, StartupError
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
    descriptors: tuple[int, ...] = ()
    """Open files that the process is to have under the same numbers."""


class KeptPart:
    """One part and the process that runs it at the moment."""

    def __init__(self, part: Part, on_failure: Callable[[CannotGoOn], None] | None = None) -> None:
        """Keep a part; `on_failure` is told when it cannot go on, and is not started again."""
        self._part = part
        self._on_failure = on_failure
        self._facts: Facts = {}
        self._process: ChildProcess | None = None
        self._keeping: BackgroundTask | None = None
        self._may_begin = False
        self._stopping = False

    async def start(self) -> Facts:
        """Start the part, and return what it reports once it is ready.

        Raises:
            StartupError: It cannot start; the message is its own.
        """
        await self._start_process()
        if self._stopping:
            raise StartupError(f"{self._name} was stopped as it started.")
        self._keeping = BackgroundTask(f"keeping {self._name}", self._keep, SystemClock())
        self._keeping.start()
        return self._facts

    def begin(self) -> None:
        """Let the part, once it is ready, do what only one of its kind may do at a time."""
        self._may_begin = True
        if self._process is not None:
            self._process.begin()

    async def make_way(self) -> None:
        """Have the part leave that off again; from now on it is not kept running any more."""
        self._may_begin = False
        await self._keep_no_longer()
        if self._process is not None:
            # One that takes too long is about to be stopped, which has a limit of its own.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.make_way(), self._part.stop_seconds)

    async def stop(self, seconds: float | None = None) -> None:
        """Stop the part, and wait until it has stopped.

        It is killed after so many seconds, or when the time that is the part's own is over.
        """
        self._stopping = True
        await self._keep_no_longer()
        if self._process is not None:
            await self._process.stop(self._part.stop_seconds if seconds is None else seconds)

    async def _keep_no_longer(self) -> None:
        if self._keeping is not None:
            await self._keeping.stop()

    async def _start_process(self) -> ChildProcess:
        part = self._part
        environment = {**os.environ, **part.environment}
        try:
            process = await ChildProcess.spawn(
                part.arguments(self._facts), environment, part.descriptors
            )
        except OSError as error:
            more = f" {HOW_TO_RAISE}" if error.errno in OUT else ""
            raise StartupError(
                f"no process can be started for {part.name}: {error.strerror or error}.{more}"
            ) from error
        self._process = process
        try:
            self._facts = await self._hear_from(process)
        except Exception:
            await process.stop(part.stop_seconds)
            raise
        logger.debug("%s is ready (process %d)", part.name, process.pid)
        if self._may_begin:
            process.begin()
        return process

    async def _hear_from(self, process: ChildProcess) -> Facts:
        report = await process.report()
        if report is None:
            raise StartupError(
                f"{self._name} ended as it started ({await process.ended()}); "
                "what it logged before says why."
            )
        if "final" in report:
            raise CannotGoOn(str(report["final"]))
        if "error" in report:
            raise StartupError(str(report["error"]))
        return report["ready"]

    async def _keep(self) -> None:
        try:
            await self._keep_running()
        except CannotGoOn as error:
            logger.error("%s cannot go on, and is not started again", self._name)
            if self._on_failure is not None:
                self._on_failure(error)
            await asyncio.Event().wait()  # there is nothing more to do until it is stopped

    async def _keep_running(self) -> None:
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        running = self._process
        while True:
            began = loop.time()
            if running is not None:
                await self._notice_end(running)
            if loop.time() - began > _STEADY_SECONDS:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            running = await self._start_again(pause)

    async def _notice_end(self, process: ChildProcess) -> None:
        how = await process.ended()
        if (reason := await process.last_words()) is not None:
            raise CannotGoOn(reason)
        if process.is_spent:
            logger.info("%s is replaced by a new process", self._name)
        else:
            logger.warning("%s ended unexpectedly (%s) and is started again", self._name, how)

    async def _start_again(self, next_pause: float) -> ChildProcess | None:
        """Start the part once more; what fails now worked before, so it is tried again later.

        Raises:
            CannotGoOn: It is not to be tried again.
        """
        try:
            process = await self._start_process()
        except CannotGoOn:
            raise
        except StartupError as error:
            logger.warning("%s did not start; next try in %g s: %s", self._name, next_pause, error)
            return None
        except Exception:
            # Such as a first word that is not the part's own. A try may be all that it takes.
            logger.exception("%s did not start; next try in %g s", self._name, next_pause)
            return None
        logger.info("%s runs again (process %d)", self._name, process.pid)
        return process

    @property
    def _name(self) -> str:
        return self._part.name
