"""Listeners: what waits outside HTTP for something to happen, and invokes a function for it."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol, Self

_PAUSE_SECONDS = 5

logger = logging.getLogger("local_runtime.host")


class Listener(Protocol):
    """Waits for the events of one trigger and invokes functions for them."""

    async def run(self) -> None:
        """Listen until cancelled."""
        ...

    async def stop(self, grace: float) -> None:
        """Take nothing new, let what runs finish for `grace` seconds, and give back the rest."""
        ...


class Listeners:
    """All listeners of an app; they listen inside an `async with`."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Start to listen."""
        self._running = [asyncio.create_task(_run(listener)) for listener in self._listeners]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once, where nobody has drained."""
        await self.drain(0)

    async def drain(self, grace: float) -> None:
        """Stop all listeners at once; what they run may take `grace` seconds to finish."""
        running, self._running = self._running, []
        if not running:
            return
        await asyncio.gather(*(listener.stop(grace) for listener in self._listeners))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _run(listener: Listener) -> None:
    while True:
        try:
            await listener.run()
            return
        except Exception:
            # A fault of this host's: the rest of the app does not suffer by it.
            logger.exception("a listener failed; it begins again in %d seconds", _PAUSE_SECONDS)
        await asyncio.sleep(_PAUSE_SECONDS)
