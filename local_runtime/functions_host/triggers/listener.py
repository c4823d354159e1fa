"""Listeners: what waits outside HTTP for something to happen, and invokes a function for it."""

import asyncio
from collections.abc import Sequence
from typing import Protocol, Self

from local_runtime.background import BackgroundTask, BackgroundTasks
from local_runtime.clock import SystemClock


class Listener(Protocol):
    """Waits for the events of one trigger and invokes functions for them.

    Its attribute `name`, if it has one, says in the log and in the host's status what it is.
    """

    async def run(self) -> None:
        """Listen until cancelled; called again when it has failed."""
        ...

    async def stop(self, grace: float) -> None:
        """Take nothing new, let what runs finish for `grace` seconds, and give back the rest."""
        ...


class Listeners:
    """All listeners of an app; they listen inside an `async with`.

    Args:
        listeners: The listeners.
        tasks: The background tasks of this host, of which each listener becomes one.
    """

    def __init__(self, listeners: Sequence[Listener], tasks: BackgroundTasks | None = None) -> None:
        self._listeners = listeners
        self._tasks = tasks or BackgroundTasks(SystemClock())
        self._running: list[BackgroundTask] = []

    async def __aenter__(self) -> Self:
        """Start to listen."""
        self._running = [
            self._tasks.start(str(getattr(listener, "name", "a listener")), listener.run)
            for listener in self._listeners
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once, where nobody has drained."""
        await self.drain(0)

    async def drain(self, grace: float) -> None:
        """Stop all listeners at once; what they run may take `grace` seconds to finish."""
        running, self._running = self._running, []
        if not running:
            return
        for task in running:
            task.let_end()
        # All are stopped, and the tasks too, also where one of them cannot be.
        stopped = await asyncio.gather(
            *(listener.stop(grace) for listener in self._listeners), return_exceptions=True
        )
        for task in running:
            await task.stop()
        for error in stopped:
            if isinstance(error, BaseException):
                raise error
