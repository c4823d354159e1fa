"""How one host process follows another: who may do what only one process may do at a time."""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Succession(Protocol):
    """What a process hears from whoever keeps it running.

    A process first loads the app and reaches the scheduler, and reports that it is ready. It pulls
    work, serves HTTP and fires triggers only from `begin` on. When another process with a newer app
    is ready, this one is told to make way: it stops its triggers, takes no more work, and says so.
    """

    @property
    def begin(self) -> asyncio.Event:
        """Set once the process may begin."""
        ...

    @property
    def make_way(self) -> asyncio.Event:
        """Set when it is to make way for its successor."""
        ...

    @property
    def made_way(self) -> Callable[[], None]:
        """To be called when it has."""
        ...


class Alone:
    """A process that has no predecessor and will have no successor."""

    def __init__(self) -> None:
        self.begin = asyncio.Event()
        self.begin.set()
        self.make_way = asyncio.Event()

    @staticmethod
    def made_way() -> None:
        """Nobody waits for it."""


async def any_of(*events: asyncio.Event, within: float | None = None) -> bool:
    """Wait until one of the events is set, for so many seconds at most; whether one is."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return any(event.is_set() for event in events)
