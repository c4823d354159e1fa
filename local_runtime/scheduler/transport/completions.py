"""gRPC's completion queue: what it has done for us comes out here, on the event loop.

This and `rpc_server` use gRPC's own inner layer (`grpc._cython.cygrpc`), which its public servers
are made of. The public ones take more than twice the time for a short call: `grpc.aio` carries each
of a call's four completions from a thread to the loop by itself (docs/performance.md). In return
the version of grpcio is pinned; the tests of the protocol tell whether a newer one still fits.
"""

import asyncio
import logging
import os
import threading
import time
from typing import Any

from grpc._cython import cygrpc

logger = logging.getLogger("local_runtime.scheduler")

_TIMEOUT = cygrpc.CompletionType.queue_timeout
_MOST_AT_ONCE = 256  # completions before the loop's other work gets its turn
# How long to keep looking before going to sleep. What follows an answer often comes within this
# time, and to be woken takes longer than to see it. A single processor is left to whoever sends it.
_LOOK_SECONDS = 0.0005 if (os.process_cpu_count() or 1) > 1 else 0.0


class Completions:
    """One completion queue, and whoever takes events out of it."""

    def __init__(self) -> None:
        self.queue = cygrpc.CompletionQueue()
        self._alarm = self._new_alarm()
        self._spent: list[Any] = []

    def _new_alarm(self) -> Any:
        """Make something that is done, and reported, the moment it is asked for.

        gRPC has an alarm of its own, but not in Python. A server without ports ends at once.
        """
        alarm = cygrpc.Server((), False)
        alarm.register_completion_queue(self.queue)
        alarm.start()
        return alarm

    def wake(self) -> None:
        """Let a `run` that waits return; to be called on one other thread, always the same."""
        alarm = self._alarm

        def rang(event: object) -> None:
            self._spent.append(alarm)

        alarm.shutdown(self.queue, rang)
        # Here and not on the loop: to make and to destroy one takes a millisecond.
        while self._spent:
            self._spent.pop().destroy()
        self._alarm = self._new_alarm()

    def run(self, timeout: float | None) -> None:
        """Wait for a completion for so many seconds, and handle all that are there.

        None waits without a limit, and 0 does not wait.
        """
        event = self._first(timeout)
        poll = self.queue.poll
        for _ in range(_MOST_AT_ONCE):
            if event.completion_type == _TIMEOUT:
                return
            _handle(event)
            event = poll(0)
        if event.completion_type != _TIMEOUT:
            _handle(event)

    def _first(self, timeout: float | None) -> Any:
        """Wait for an event: awake at first, then asleep."""
        poll = self.queue.poll
        event = poll(0)
        if timeout == 0 or event.completion_type != _TIMEOUT:
            return event
        deadline = None
        if timeout is not None:
            deadline = time.time() + timeout  # noqa: TID251 - gRPC's deadlines are moments
        look_until = time.perf_counter() + _LOOK_SECONDS
        while time.perf_counter() < look_until:
            event = poll(0)
            if event.completion_type != _TIMEOUT:
                return event
        return poll(deadline)


def _handle(event: Any) -> None:
    try:
        event.tag(event)
    except Exception:  # as for any other callback of a loop: the others go on
        logger.exception("unexpected error in a call")


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
