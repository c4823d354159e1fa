"""Reads a task hub beside the writer: what is committed, on threads of its own."""

import asyncio
import queue
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local_runtime.scheduler.storage.database import open_reader
from local_runtime.scheduler.storage.writer import StorageUnavailable

_THREADS = 2


class Reader:
    """A small pool of read-only connections, each used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._connections: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for _ in range(_THREADS):
            self._connections.put(open_reader(path))
        self._closed = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="task-hub-reader")

    async def read[T](self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query and return its result.

        Raises:
            StorageUnavailable: the task hub has been deleted meanwhile.
        """
        if self._closed:
            raise StorageUnavailable("the task hub is closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, query)

    def _run[T](self, query: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connections.get()
        try:
            return query(connection)
        finally:
            self._connections.put(connection)

    def close(self) -> None:
        """Wait for running queries and close the connections."""
        self._closed = True
        self._threads.shutdown(wait=True)
        while not self._connections.empty():
            self._connections.get().close()
