"""Deletes instances that ended long ago, and lets the file shrink after much was deleted."""

import asyncio
import logging
from datetime import timedelta

from local_runtime.clock import Clock
from local_runtime.scheduler.engine.events import micros
from local_runtime.scheduler.storage import vacuum
from local_runtime.scheduler.storage.purge import purge_expired
from local_runtime.scheduler.storage.writer import StorageUnavailable, Writer

logger = logging.getLogger("local_runtime.scheduler")

_INTERVAL = timedelta(hours=1)
_GROUP = 200  # instances deleted in one transaction: others are served in between


class Housekeeping:
    """Runs when a hub is opened, then once an hour, and after each purge."""

    def __init__(
        self, hub_name: str, writer: Writer, clock: Clock, retention: timedelta | None
    ) -> None:
        self._hub_name = hub_name
        self._writer = writer
        self._clock = clock
        self._retention = retention
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, and go on until `close`."""
        self._task = asyncio.create_task(self._run(), name="housekeeping")

    def tidy(self) -> None:
        """Much may have been deleted: look after the file soon."""
        self._wanted.set()

    async def close(self) -> None:
        """Stop, between two transactions."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self._purge_expired()
                await self._shrink()
            except StorageUnavailable:
                await self._writer.when_available()
                continue
            await self._pause()

    async def _purge_expired(self) -> None:
        if self._retention is None:
            return
        before = micros(self._clock.now() - self._retention)
        total = 0
        while True:
            deleted = await self._writer.submit(lambda tx: purge_expired(tx, before, _GROUP))
            total += deleted
            if deleted < _GROUP:
                break
        if total:
            logger.info(
                "task hub %s: deleted %d instance(s) that ended more than %g days ago",
                self._hub_name,
                total,
                self._retention / timedelta(days=1),
            )

    async def _shrink(self) -> None:
        if not await self._writer.submit(lambda tx: vacuum.has_surplus(tx.connection)):
            return
        while await self._writer.submit(vacuum.shrink):
            pass
        self._writer.checkpoint()  # which is when the file itself gets shorter

    async def _pause(self) -> None:
        due = asyncio.ensure_future(self._clock.sleep_until(self._clock.now() + _INTERVAL))
        wanted = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait({due, wanted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            due.cancel()
            wanted.cancel()
