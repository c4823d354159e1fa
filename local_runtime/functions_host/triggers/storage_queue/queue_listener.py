"""Takes the messages of one queue, has each one worked on, and settles it by what came of that."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueMessage

from local_runtime.functions_host.storage.message_queue import MessageQueue
from local_runtime.functions_host.triggers.reachability import (
    FIRST_PAUSE,
    LONGEST_OUTAGE_PAUSE,
    Reachability,
)
from local_runtime.functions_host.triggers.storage_queue.held_message import HeldMessage
from local_runtime.settings import QueueSettings

HIDDEN_SECONDS = 600
_GIVE_BACK_SECONDS = 2.0
_MOST_DONE = 10_000

logger = logging.getLogger("local_runtime.host")


class Unreadable(Exception):
    """A message is not in the encoding that host.json says; another try would not help."""


class QueueListener:
    """Reads one queue. What it takes stays hidden from others while it is worked on.

    Args:
        queue: The queue.
        poison: Where messages go that have failed too often; None to leave them hidden.
        work: Works on one message; whether that succeeded.
        settings: How many messages are taken, how often each is tried.
        hidden_seconds: For how long a message is hidden; half-way it is hidden anew.
        inner: Whether the queue is this host's own, which nobody need hear of.
    """

    def __init__(
        self,
        queue: MessageQueue,
        poison: MessageQueue | None,
        work: Callable[[QueueMessage], Awaitable[bool]],
        settings: QueueSettings,
        *,
        hidden_seconds: int = HIDDEN_SECONDS,
        inner: bool = False,
    ) -> None:
        self._queue = queue
        self._poison = poison
        self._work = work
        self._settings = settings
        self._hidden_seconds = hidden_seconds
        self._running: set[asyncio.Task[None]] = set()
        self._receiving = asyncio.Lock()
        self._stopping = False
        self._account = Reachability(f"queue {queue.name!r}")
        self._missing = inner
        # Messages that are done, and could not be deleted; the oldest first.
        self._done: dict[str, None] = {}
        self.name = f"queue {queue.name}"

    async def run(self) -> None:
        """Take and work on messages until cancelled."""
        pause = FIRST_PAUSE
        while True:
            found = await self._take()
            idle = self._settings.longest_pause_seconds
            longest = idle if found is not None else LONGEST_OUTAGE_PAUSE
            pause = FIRST_PAUSE if found else min(pause * 2, longest)
            await self._fewer_running()
            await asyncio.sleep(0 if found else pause)

    async def stop(self, grace: float) -> None:
        """Take no more, let what runs finish for `grace` seconds, and show the rest to others."""
        self._stopping = True
        async with self._receiving:
            pass  # what is being received now is given back, and not left hidden for minutes
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=_GIVE_BACK_SECONDS)

    async def _take(self) -> bool | None:
        """Receive a batch and start on it; whether there was anything, None if nobody can say."""
        if self._stopping:
            return False
        # Not ended half-way by a cancel: what had been received would stay hidden.
        return await asyncio.shield(self._receive())

    async def _receive(self) -> bool | None:
        async with self._receiving:
            try:
                batch = await self._queue.receive(self._settings.batch_size, self._hidden_seconds)
                self._account.found()
                self._missing = False
                for message in batch:
                    await self._begin(message)
            except ResourceNotFoundError:
                self._account.found()
                self._wait_for_queue()
                return False
            except AzureError as error:
                self._account.lost(error)
                return None
            return bool(batch)

    async def _begin(self, message: QueueMessage) -> None:
        if self._stopping:
            await self._queue.hide(message, 0)
            return
        task = asyncio.create_task(self._process(message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _wait_for_queue(self) -> None:
        if not self._missing:
            logger.info("queue %r does not exist yet, waiting for it", self._queue.name)
        self._missing = True

    async def _fewer_running(self) -> None:
        while len(self._running) > self._settings.new_batch_threshold:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def _process(self, message: QueueMessage) -> None:
        held = HeldMessage(self._queue, message, self._hidden_seconds, self._account)
        try:
            await held.settle(await self._outcome(message))
        except asyncio.CancelledError:
            await asyncio.shield(held.give_back())
            raise
        finally:
            held.let_go()

    async def _outcome(self, message: QueueMessage) -> Callable[[], Awaitable[None]]:
        """Work on a message; return what records how that ended."""
        if str(message.id) in self._done:
            return lambda: self._delete(message)
        if (message.dequeue_count or 0) > self._settings.max_dequeue_count:
            # As after kills: nobody was left to say that the last try had failed.
            return self._buried(message)
        try:
            succeeded = await self._work(message)
        except Unreadable as problem:
            logger.error("queue %s: message %s %s", self._queue.name, message.id, problem)
            return self._buried(message)
        except Exception:
            # Not the app's fault, but counted as a try all the same: it may be the message's.
            logger.exception("queue %s: message %s failed", self._queue.name, message.id)
            succeeded = False
        if succeeded:
            return lambda: self._delete(message)
        if (message.dequeue_count or 0) >= self._settings.max_dequeue_count:
            return self._buried(message)
        return lambda: self._show_later(message)

    async def _show_later(self, message: QueueMessage) -> None:
        # Without a poison queue it stays hidden: shown again at once, it would fail without end.
        if self._poison is not None:
            await self._queue.hide(message, int(self._settings.visibility_seconds))

    async def _delete(self, message: QueueMessage) -> None:
        if await self._queue.delete(message):
            self._done.pop(str(message.id), None)
            return
        logger.warning(
            "queue %s: message %s was done, but another had taken it meanwhile, or the account "
            "did not say that it had been hidden anew; should it come again, it is only deleted",
            self._queue.name,
            message.id,
        )
        self._done[str(message.id)] = None
        if len(self._done) > _MOST_DONE:
            del self._done[next(iter(self._done))]

    def _buried(self, message: QueueMessage) -> Callable[[], Awaitable[None]]:
        """Return what moves a message to the poison queue, and puts it there only once."""
        sent = False

        async def bury() -> None:
            nonlocal sent
            if self._poison is None:
                return
            if not sent:
                logger.warning(
                    "queue %s: message %s was tried %d time(s) and goes to queue %r",
                    self._queue.name,
                    message.id,
                    min(message.dequeue_count or 0, self._settings.max_dequeue_count),
                    self._poison.name,
                )
                await self._poison.send(str(message.content))
            sent = True
            await self._delete(message)

        return bury
