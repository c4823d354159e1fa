"""Holds back HTTP functions: maxOutstandingRequests and maxConcurrentRequests of host.json."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator


class TooManyRequests(Exception):
    """So many requests run and wait already that no more are taken."""


class Throttle:
    """Counts the requests to HTTP functions; None stands for no limit."""

    def __init__(self, max_outstanding: int | None, max_concurrent: int | None) -> None:
        self._max_outstanding = max_outstanding
        self._outstanding = 0
        self._free = asyncio.Semaphore(max_concurrent) if max_concurrent else None

    @property
    def unlimited(self) -> bool:
        """Whether there is nothing to hold back."""
        return self._max_outstanding is None and self._free is None

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait for a request's turn, which lasts as long as the `async with`.

        Raises:
            TooManyRequests: It would be one more than may be outstanding.
        """
        if self._max_outstanding is not None and self._outstanding >= self._max_outstanding:
            raise TooManyRequests
        self._outstanding += 1
        try:
            async with self._free or contextlib.nullcontext():
                yield
        finally:
            self._outstanding -= 1
