"""Where starts wait for their turn to be sent to the scheduler, however many come at once."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable

import grpc.aio

from local_runtime.functions_host.webhook.task_hub.instances import StartIsOpen
from local_runtime.scheduler.client import may_pass

_AT_ONCE = 256


class SchedulerStuck(Exception):
    """The scheduler has answered no start for so long that those that wait are not sent."""


class StartQueue:
    """Lets so many starts go out at once: enough for the scheduler to commit them together.

    Thousands sent at the same time would each wait for all others, and be given up and repeated;
    those that wait here have not begun. They wait for as long as the scheduler answers any start.

    Args:
        patience: How many seconds may pass without an answer.
        clock: The seconds that have passed since some moment.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._patience = patience
        self._clock = clock
        self._answered_at = 0.0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait for a start's turn, which lasts as long as the `async with`.

        Raises:
            SchedulerStuck: It does not come.
        """
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    await self._free.acquire()
                break
            except TimeoutError:
                if self._clock() - self._answered_at > self._patience:
                    raise SchedulerStuck from None
        try:
            yield
            self._answered_at = self._clock()
        except Exception as error:
            if not _is_open(error):
                self._answered_at = self._clock()  # a refusal is an answer
            raise
        finally:
            self._free.release()


def _is_open(error: Exception) -> bool:
    return isinstance(error, StartIsOpen) or (
        isinstance(error, grpc.aio.AioRpcError) and may_pass(error)
    )
