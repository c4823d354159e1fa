"""An event loop in a thread of its own: threads of a worker have coroutines run on it, and wait."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


class LoopThread:
    """One event loop for all coroutines, so that they can share connections.

    The thread is started with the first coroutine. It ends with the process, or with `stop`.

    Args:
        name: The name of the thread.
        closing: What the loop does last of all.
    """

    def __init__(self, name: str, closing: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._closing = closing
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run[T](self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, and return what it returns. Not to be called on the loop.

        Raises:
            Exception: Whatever the coroutine raises.
        """
        return asyncio.run_coroutine_threadsafe(coroutine, self._running()).result()

    def stop(self) -> None:
        """Cancel what still runs, and end the thread. The next coroutine starts another."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    async def _close(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._closing()
        await asyncio.get_running_loop().shutdown_default_executor()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name=self._name, daemon=True
                )
                self._thread.start()
            return self._loop
