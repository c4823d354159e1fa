"""An event loop that waits for gRPC itself, so that a call costs no change of threads.

An asyncio loop waits in its selector. This one's selector waits for gRPC's completions and runs
them. Files and sockets (the dashboard's, a signal, another thread's call) are watched by a thread,
which wakes the selector when one of them is ready: rare, next to calls.
"""

import asyncio
import os
import selectors
import threading
from collections.abc import Mapping
from typing import Any

from local_runtime.scheduler.transport.completions import Completions


class CompletionLoop(asyncio.SelectorEventLoop):
    """Runs coroutines as any loop does, and gRPC's completions as they come."""

    def __init__(self) -> None:
        self.completions = Completions()
        super().__init__(_CompletionSelector(self.completions))


class _CompletionSelector(selectors.BaseSelector):
    """Waits for completions; files come second."""

    def __init__(self, completions: Completions) -> None:
        self._completions = completions
        self._files = selectors.DefaultSelector()
        self._watcher = _Watcher(self._files, completions)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._watcher.watch()
        self._completions.run(timeout)
        return self._files.select(0) if self._watcher.take_news() else []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._files.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._files.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._files.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._files.get_map()

    def close(self) -> None:
        self._watcher.close()
        self._files.close()


class _Watcher:
    """A thread that tells when one of a selector's files is ready, once for each `watch`."""

    def __init__(self, files: selectors.DefaultSelector, completions: Completions) -> None:
        self._completions = completions
        # A selector is a file itself, which can be read when any file in it is ready.
        self._any = selectors.DefaultSelector()
        self._any.register(files.fileno(), selectors.EVENT_READ)
        self._end_reader, self._end_writer = os.pipe()
        self._any.register(self._end_reader, selectors.EVENT_READ)
        self._wanted = threading.Semaphore(0)
        self._watching = False
        self._news = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="file-watcher", daemon=True)
        self._thread.start()

    def watch(self) -> None:
        """Watch the files, if they are not being watched."""
        if not self._watching:
            self._watching = True
            self._wanted.release()

    def take_news(self) -> bool:
        """Whether a file is ready; if so, they are not watched again before `watch`."""
        if not self._news:
            return False
        self._news = False
        self._watching = False
        return True

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._wanted.release()
        os.write(self._end_writer, b"x")
        self._thread.join()
        self._any.close()
        os.close(self._end_reader)
        os.close(self._end_writer)

    def _run(self) -> None:
        while True:
            self._wanted.acquire()
            if self._closed:
                return
            self._any.select()
            if self._closed:
                return
            self._news = True
            self._completions.wake()
