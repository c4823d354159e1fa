"""Clients that wait for an instance: one future each, no thread and no poll."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager


class Waiters:
    """Wakes those who wait when an instance starts, ends or is deleted."""

    def __init__(self) -> None:
        self._events: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @asynccontextmanager
    async def watch(self, instance_id: str) -> AsyncGenerator[asyncio.Event]:
        """Give an event that is set when the instance changes; watch first, then look."""
        event = asyncio.Event()
        self._events[instance_id].add(event)
        try:
            yield event
        finally:
            watching = self._events[instance_id]
            watching.discard(event)
            if not watching:
                del self._events[instance_id]

    def wake_all(self) -> None:
        """Wake everyone: nothing will ever change again."""
        self.wake(list(self._events))

    def wake(self, instance_ids: Iterable[str]) -> None:
        """Wake everyone who waits for one of these instances."""
        for instance_id in instance_ids:
            for event in self._events.get(instance_id, ()):
                event.set()
