"""Deletes instances that ended long ago, and lets the file shrink after much was deleted."""

import asyncio
import logging
from datetime import timedelta
from functools import partial

from local_runtime.clock import Clock
from local_runtime.scheduler.engine.events import micros
from local_runtime.scheduler.engine.limits import shown
from local_runtime.scheduler.storage import vacuum
from local_runtime.scheduler.storage.purge import PurgedGroup, purge_expired
from local_runtime.scheduler.storage.transaction import Transaction
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
        self._named: set[str] = set()

    def tidy(self) -> None:
        """Much may have been deleted: look after the file soon."""
        self._wanted.set()

    async def run(self) -> None:
        """Tidy up until cancelled; it may be called again when it has failed."""
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
        total = left = 0
        while True:
            group = await self._writer.submit(partial(self._purge_group, before, left))
            total += group.deleted
            left += len(group.failed)
            self._name(group)
            if not group.is_full:
                break
        if total:
            logger.info(
                "task hub %s: deleted %d instance(s) that ended more than %g days ago",
                self._hub_name,
                total,
                self._retention / timedelta(days=1),
            )

    @staticmethod
    def _purge_group(before: int, left: int, tx: Transaction) -> PurgedGroup:
        return purge_expired(tx, before, _GROUP, left)

    def _name(self, group: PurgedGroup) -> None:
        """Say, once, which instances stay because they cannot be deleted."""
        for instance_id, why in group.failed.items():
            if instance_id not in self._named:
                self._named.add(instance_id)
                logger.error(
                    "task hub %s: the instance %s ended long ago and cannot be deleted (%s): it "
                    "stays, and all others are deleted",
                    self._hub_name,
                    shown(instance_id),
                    why,
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
