"""Where time comes from: every part that needs it takes a Clock by its constructor."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and waits for it."""

    def now(self) -> datetime:
        """Return the present moment in UTC, with its time zone set."""
        ...

    async def sleep_until(self, moment: datetime) -> None:
        """Return once `now()` is at or after `moment`."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock

    async def sleep_until(self, moment: datetime) -> None:
        """Return once the machine's clock has reached `moment`."""
        # In slices: a laptop that slept, or a clock that was set, must not leave a timer hanging.
        while (left := (moment - self.now()).total_seconds()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, 30.0))


class VirtualClock:
    """Time that moves only when told to, so that a timer of thirty days costs a test nothing."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._moved = asyncio.Condition()

    def now(self) -> datetime:
        """Return the moment this clock stands at."""
        return self._now

    async def sleep_until(self, moment: datetime) -> None:
        """Return once `advance` has carried the clock to `moment`."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._now >= moment)

    async def advance(self, by: timedelta) -> None:
        """Move the clock forward and wake whoever waited for a moment now past."""
        async with self._moved:
            self._now += by
            self._moved.notify_all()
