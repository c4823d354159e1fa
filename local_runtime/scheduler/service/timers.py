"""Delivers delayed messages when they are due: durable timers, later starts, delayed signals."""

import asyncio

from local_runtime.clock import Clock
from local_runtime.scheduler.engine.events import micros, moment
from local_runtime.scheduler.storage import messages
from local_runtime.scheduler.storage.writer import StorageUnavailable, Writer


class Timers:
    """Sleeps until the earliest delayed message; however many there are, it is one sleep."""

    def __init__(self, writer: Writer, clock: Clock, next_due: int | None) -> None:
        self._writer = writer
        self._clock = clock
        self._next_due = next_due
        self._earlier = asyncio.Event()

    def added(self, due_at: int) -> None:
        """A delayed message was stored."""
        if self._next_due is None or due_at < self._next_due:
            self._next_due = due_at
            self._earlier.set()

    async def run(self) -> None:
        """Deliver what is due until cancelled; it may be called again when it has failed."""
        while True:
            self._earlier.clear()
            if not await self._is_due():
                continue
            following = await self._deliver()
            if following is not None:
                self.added(following)

    async def _deliver(self) -> int | None:
        # Anything added from here on counts anew: the step below reads what it finds.
        self._next_due = None
        try:
            return await self._writer.submit(messages.deliver_due)
        except StorageUnavailable:
            await self._writer.when_available()
            return micros(self._clock.now())
        except BaseException:
            self._next_due = 0  # whatever is due has not been delivered, and is looked for again
            raise

    async def _is_due(self) -> bool:
        """Wait for the next due time; False when an earlier one came meanwhile."""
        if self._next_due is None:
            await self._earlier.wait()
            return False
        sleep = asyncio.ensure_future(self._clock.sleep_until(moment(self._next_due)))
        earlier = asyncio.ensure_future(self._earlier.wait())
        try:
            await asyncio.wait({sleep, earlier}, return_when=asyncio.FIRST_COMPLETED)
            return sleep.done() and not self._earlier.is_set()
        finally:
            sleep.cancel()
            earlier.cancel()
