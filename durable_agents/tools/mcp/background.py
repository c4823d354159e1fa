"""The thread on which this process talks to MCP servers, whatever loop a call comes from.

A session belongs to the loop and the task that opened it, and the list of tools is asked for before
any loop runs. So all sessions live on one loop of their own. It ends with the process.
"""

import asyncio
import atexit
import concurrent.futures
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

# How long the end of the process waits for servers to end.
_CLOSING_SECONDS = 8.0


class _Background:
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mcp", daemon=True)
        self._thread.start()
        self.closing: set[Callable[[], Awaitable[None]]] = set()
        atexit.register(self._close)

    def submit[T](self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _close(self) -> None:
        # Those that are too slow have their input closed with this process.
        with contextlib.suppress(concurrent.futures.TimeoutError):
            self.submit(self._close_all()).result(_CLOSING_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _close_all(self) -> None:
        await asyncio.gather(*(close() for close in list(self.closing)), return_exceptions=True)


_lock = threading.Lock()
_started: list[_Background] = []


def _background() -> _Background:
    with _lock:
        if not _started:
            _started.append(_Background())
        return _started[0]


def submit[T](work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Run a coroutine on the thread's loop."""
    return _background().submit(work)


async def on_thread[T](work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the thread's loop, and wait for it on this one."""
    return await asyncio.wrap_future(submit(work))


def close_at_exit(close: Callable[[], Awaitable[None]]) -> None:
    """Have a function called on the thread's loop when the process ends."""
    _background().closing.add(close)
