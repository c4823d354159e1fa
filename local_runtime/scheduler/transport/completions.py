"""gRPC's completion queue: what it has done for us comes out here, on the event loop.

This and `rpc_server` use gRPC's own inner layer (`grpc._cython.cygrpc`), which its public servers
are made of. The public ones cost two to four times as much for a short call: `grpc.aio` carries
each of the four completions of a call from a thread to the loop by itself. What it costs is in
docs/performance.md. The version of grpcio is pinned, and the tests of the protocol hold this.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from grpc._cython import cygrpc

type Tag = Callable[[Any], None]
"""What is called, on the loop, with the event of something that has been done."""

_MOST_AT_ONCE = 256  # completions before the loop's other work gets its turn


class Completions:
    """One completion queue, and whoever takes events out of it."""

    def __init__(self) -> None:
        self.queue = cygrpc.CompletionQueue()
        self._alarm = cygrpc.Server((), False)
        self._alarm.register_completion_queue(self.queue)
        self._alarm.start()
        self.wake()

    def wake(self) -> None:
        """Let a `run` that waits, on another thread, return."""
        # A server that is shut down reports it, again each time it is asked.
        self._alarm.shutdown(self.queue, _nothing)

    def run(self, timeout: float | None) -> None:
        """Wait for a completion for so many seconds, and handle all that are there.

        None waits without a limit, and 0 does not wait.
        """
        poll = self.queue.poll
        deadline = timeout
        if timeout:
            deadline = time.time() + timeout  # noqa: TID251 - gRPC's deadlines are moments
        event = poll(deadline)
        for _ in range(_MOST_AT_ONCE):
            if event.completion_type == cygrpc.CompletionType.queue_timeout:
                return
            event.tag(event)
            event = poll(0)
        if event.completion_type != cygrpc.CompletionType.queue_timeout:
            event.tag(event)


class ThreadedCompletions:
    """Completions for a loop that is not made for them: a thread waits and hands them over."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.queue = cygrpc.CompletionQueue()
        self._loop = loop
        self._thread = threading.Thread(target=self._run, name="completions", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            event = self.queue.poll(None)
            if event.completion_type == cygrpc.CompletionType.queue_shutdown:
                return
            self._loop.call_soon_threadsafe(event.tag, event)

    async def close(self) -> None:
        """End the thread; nothing may be under way any more."""
        self.queue.shutdown()
        await asyncio.to_thread(self._thread.join)


def _nothing(event: object) -> None:
    """Do nothing: the event has woken who waited, which is all."""
