"""Lets a person end the command line's own work with Ctrl-C or SIGTERM, in an orderly way."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any


class Interrupted(Exception):
    """Somebody asked this process to stop."""


class Interruption:
    """Notes SIGINT and SIGTERM from its creation on; needs a running event loop."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)

    async def wait(self) -> None:
        """Return once somebody has asked this process to stop."""
        await self._asked.wait()

    async def unless[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` does, and cancel it when somebody asks this process to stop.

        Raises:
            Interrupted: Somebody did.
        """
        doing = asyncio.create_task(work)
        asked = asyncio.create_task(self._asked.wait())
        try:
            await asyncio.wait((doing, asked), return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise Interrupted
            return doing.result()
        finally:
            asked.cancel()
            doing.cancel()
            await asyncio.gather(doing, asked, return_exceptions=True)

    def _on_signal(self, number: int) -> None:
        if self._asked.is_set() and number == signal.SIGINT:
            # A second Ctrl-C: the person does not want to wait. The children notice, and end.
            os._exit(1)
        self._asked.set()
