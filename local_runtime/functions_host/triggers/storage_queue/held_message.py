"""One message that is hidden from others while it is worked on, until it is settled."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from azure.core.exceptions import AzureError
from azure.storage.queue import QueueMessage

from local_runtime.functions_host.storage.message_queue import MessageQueue
from local_runtime.functions_host.triggers.reachability import (
    FIRST_PAUSE,
    LONGEST_OUTAGE_PAUSE,
    Reachability,
)


class HeldMessage:
    """Hides a message anew, half-way through each time for which it is hidden.

    Each change gives the message another receipt, and a change with an older one is refused. So
    there is one change at a time, and none after the one that settles it: a message that was hidden
    anew while it was being deleted would come back, and its function run again.
    """

    def __init__(
        self, queue: MessageQueue, message: QueueMessage, seconds: int, account: Reachability
    ) -> None:
        self._queue = queue
        self._message = message
        self._seconds = seconds
        self._account = account
        self._changing = asyncio.Lock()
        self._settled = False
        self._renewing = asyncio.create_task(self._renew())

    async def settle(self, record: Callable[[], Awaitable[None]]) -> None:
        """Record what came of the message, and wait for the account if it is gone meanwhile."""
        pause = FIRST_PAUSE
        # Not ended half-way by a cancel: the request would be under way all the same.
        while not await asyncio.shield(asyncio.create_task(self._record(record))):
            pause = min(pause * 2, LONGEST_OUTAGE_PAUSE)
            await asyncio.sleep(pause)

    async def give_back(self) -> None:
        """Show the message to others at once, unless it has been settled."""
        async with self._changing:
            self._renewing.cancel()
            if not self._settled:
                with contextlib.suppress(AzureError):
                    await self._queue.hide(self._message, 0)

    def let_go(self) -> None:
        """Hide it no longer."""
        self._renewing.cancel()

    async def _record(self, record: Callable[[], Awaitable[None]]) -> bool:
        async with self._changing:
            try:
                await record()
            except AzureError as error:
                self._account.lost(error)
                return False
            self._settled = True
            self._renewing.cancel()
            return True

    async def _renew(self) -> None:
        ours = True
        while ours:
            await asyncio.sleep(self._seconds / 2)
            async with self._changing:
                try:
                    ours = await self._queue.hide(self._message, self._seconds)
                except AzureError as error:
                    self._account.lost(error)
