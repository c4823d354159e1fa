"""Time that moves when it is told to, for a scheduler that serves tests: --virtual-time."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from local_runtime.clock import VirtualClock
from local_runtime.errors import StartupError
from local_runtime.scheduler.engine.events import moment
from local_runtime.scheduler.service.hub import Hub
from local_runtime.scheduler.service.hubs import Hubs
from local_runtime.whole_file import write_whole

_FILE = "virtual-time"
_SETTLE_SECONDS = 5.0  # of real time, for what is under way between two moments
_LIMIT_SECONDS = 60.0  # of real time, for one advance


def open_clock(folder: Path, now: datetime) -> VirtualClock:
    """Return a clock that stands at the present, or where the folder's time has been moved to.

    Raises:
        StartupError: the folder's note of the time cannot be read.
    """
    path = folder / _FILE
    try:
        reached = datetime.fromisoformat(path.read_text(encoding="ascii").strip())
        return VirtualClock(max(now, reached.astimezone(UTC)))
    except FileNotFoundError:
        return VirtualClock(now)
    except (OSError, ValueError) as error:
        raise StartupError(
            f"the virtual time in {path} cannot be read ({error}). "
            "Delete the file to begin at the present, or start with another --data folder."
        ) from error


class VirtualTime:
    """Moves a clock, and with it everything in the task hubs that waits for a moment."""

    def __init__(self, clock: VirtualClock, hubs: Hubs, folder: Path) -> None:
        self._clock = clock
        self._hubs = hubs
        self._path = folder / _FILE
        self._advancing = asyncio.Lock()

    def now(self) -> datetime:
        """Return the moment the clock stands at."""
        return self._clock.now()

    async def advance(self, to: datetime) -> bool:
        """Move the clock, from one due moment to the next, and finally to `to`.

        At each moment what is due is delivered, and workers get the time to act on it: timers
        that they set then are kept, too. So thirty timers of one day, one after the other, all
        fire in one advance of thirty days.

        Returns:
            False when it stopped on the way, because there was too much to do for one call. The
            clock stands at the moment that was reached, and the next call goes on from there.
        """
        loop = asyncio.get_running_loop()
        async with self._advancing:
            limit = loop.time() + _LIMIT_SECONDS
            while True:
                await self._settle()
                due = min((due for hub in self._hubs.opened() for due in _next(hub)), default=None)
                if due is None or due > to:
                    break
                if loop.time() > limit:
                    return False
                await self._move(max(due, self._clock.now()))
                for hub in self._hubs.opened():
                    await hub.deliver_due()
            await self._move(max(to, self._clock.now()))
            return True

    async def _move(self, to: datetime) -> None:
        # First on disk: after a restart the time does not run backwards.
        write_whole(self._path, to.isoformat())
        await self._clock.advance(to - self._clock.now())

    async def _settle(self) -> None:
        """Wait until the workers have nothing more to do, but not for long work."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                # Asked again and again, in real time: this is a tool for tests.
                while not all(hub.is_settled for hub in self._hubs.opened()):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)


def _next(hub: Hub) -> Iterator[datetime]:
    due = hub.next_due()
    if due is not None:
        yield moment(due)
