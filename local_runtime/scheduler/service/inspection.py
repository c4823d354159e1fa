"""Looks through all rows of a task hub for damage when it is opened, without holding it up long."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from local_runtime.scheduler.service.damaged import DamagedData
from local_runtime.scheduler.storage import integrity, messages
from local_runtime.scheduler.storage.damage import DamagedRow
from local_runtime.scheduler.storage.database import CHECKED_AT_START, open_reader
from local_runtime.scheduler.storage.transaction import Transaction
from local_runtime.scheduler.storage.writer import StorageUnavailable, Writer

logger = logging.getLogger("local_runtime.scheduler")

_SECONDS_AT_START = 0.2  # some hundred thousand rows in a second; the rest is looked at later


class Inspection:
    """Begins when a hub is opened, and ends when all has been looked at once."""

    def __init__(self, hub_name: str, path: Path, writer: Writer, damaged: DamagedData) -> None:
        self._hub_name = hub_name
        self._writer = writer
        self._damaged = damaged
        self._is_large = path.stat().st_size > CHECKED_AT_START
        self._connection = open_reader(path)
        self._chunks: Iterator[list[DamagedRow]] = integrity.damaged_rows(self._connection)
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Look at as much as takes no time that anybody would notice, and go on beside the rest."""
        until = time.perf_counter() + _SECONDS_AT_START
        while time.perf_counter() < until:
            found = self._next()
            if found is None:
                break
            self._damaged.note(found)
        else:
            logger.info("task hub %s: its rows are looked through for damage", self._hub_name)
            self._task = asyncio.create_task(self._go_on(), name="inspection")
            return
        if self._is_large:
            self._task = asyncio.create_task(self._go_on(), name="inspection")
        else:
            self._connection.close()

    async def close(self) -> None:
        """Stop looking."""
        self._closing = True
        if self._task is not None:
            with contextlib.suppress(sqlite3.ProgrammingError):  # it has just come to its end
                self._connection.interrupt()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _go_on(self) -> None:
        try:
            total = 0
            while not self._closing and (found := await asyncio.to_thread(self._next)) is not None:
                self._damaged.note(found)
                total += len(found)
            if not self._closing and self._is_large:
                await self._look_at_indexes()
            if not self._closing:
                logger.info(
                    "task hub %s: all rows have been looked at; of %d the data is damaged",
                    self._hub_name,
                    total,
                )
        finally:
            self._connection.close()

    def _next(self) -> list[DamagedRow] | None:
        """Return the damage among the next rows; None when all have been looked at."""
        try:
            return next(self._chunks, None)
        except sqlite3.DatabaseError as error:
            if not self._closing:
                logger.error(
                    "task hub %s: its rows cannot be looked through (%s)", self._hub_name, error
                )
            return None

    async def _look_at_indexes(self) -> None:
        try:
            found = await asyncio.to_thread(integrity.damaged_indexes, self._connection)
        except sqlite3.DatabaseError:
            return  # the hub is being closed
        if found and not self._closing:
            with contextlib.suppress(StorageUnavailable):
                await self._writer.submit(lambda tx: _rebuild(tx, found))


def _rebuild(tx: Transaction, indexes: list[str]) -> None:
    integrity.rebuild(tx.connection, indexes)
    for target_id in messages.all_targets(tx.connection):
        tx.effects.ready[target_id] = None  # what had not been found may be found now
