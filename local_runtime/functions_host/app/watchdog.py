"""Notices functions that run for longer than host.json's `functionTimeout`.

A function cannot be stopped from outside: its thread goes on. So one that takes too long makes its
process `spent`, and the process is replaced. What it worked on is not failed, but runs again.
"""

import asyncio
import faulthandler
import itertools
import logging
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

# How long a process may take to notice that it is spent: code of the app may hold up its event
# loop, or all of its threads. And how long to end then, which includes the grace for other work.
_NOTICE_SECONDS, _END_SECONDS = 5.0, 16.0
# How long the thread looks on without anything to watch; shorter than the shortest limit.
_LINGER_SECONDS = 0.5

logger = logging.getLogger("local_runtime.host")


class FunctionTimedOut(Exception):
    """A function ran for longer than `functionTimeout`; it has been logged."""


@dataclass
class _Invocation:
    what: str
    deadline: float
    task: asyncio.Task[Any]
    timed_out: bool = False
    told: bool = False


class Watchdog:
    """Watches the invocations of one process; made on its event loop.

    Attributes:
        spent: Set once an invocation has taken too long: the process is to be replaced. When it
            does not end by itself within some seconds, it is ended from here.
    """

    def __init__(self, limit: timedelta | None) -> None:
        self.spent = asyncio.Event()
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count()
        self._running: dict[int, _Invocation] = {}  # the one that began first comes first
        self._changed = threading.Condition()
        self._idle = False
        if limit is not None:
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    async def watch[T](self, work: Coroutine[Any, Any, T], what: str) -> T:
        """Return what `work` does. `what` names the function, for the log.

        Raises:
            FunctionTimedOut: It took too long.
        """
        task = asyncio.current_task()
        if self._limit is None or task is None:
            return await work
        number = next(self._numbers)
        deadline = time.monotonic() + self._limit.total_seconds()
        invocation = _Invocation(what, deadline, task)
        with self._changed:
            self._running[number] = invocation
            if self._idle:
                self._changed.notify()
        try:
            result = await work
        except asyncio.CancelledError:
            if not invocation.timed_out:
                raise
            task.uncancel()
            raise FunctionTimedOut(what) from None
        finally:
            with self._changed:
                del self._running[number]
        if invocation.timed_out:
            # It has swallowed its cancellation, and ended in this moment after all.
            task.uncancel()
            raise FunctionTimedOut(what)
        return result

    def _watch(self) -> None:
        """Wait for the first invocation that takes too long; this is the thread's work."""
        with self._changed:
            while (left := self._seconds_left()) > 0:
                # A thread of its own that needs nothing of Python: it ends the process, and shows
                # where it hangs, also when the app's code lets no other thread run.
                faulthandler.dump_traceback_later(left + _NOTICE_SECONDS, exit=True)
                self._changed.wait(left)
            faulthandler.dump_traceback_later(_NOTICE_SECONDS, exit=True)
            overdue = next(iter(self._running.values()))
        # From here, for the loop may be what hangs.
        self._say(overdue)
        self._loop.call_soon_threadsafe(self._expire)

    def _say(self, overdue: _Invocation) -> None:
        overdue.told = True
        logger.error(
            "%s has run for longer than the functionTimeout of %s; this process is replaced, and "
            "what it has not finished runs again",
            overdue.what,
            self._limit,
        )

    def _seconds_left(self) -> float:
        """Return the time until the first invocation is overdue, once there is one."""
        limit = self._limit.total_seconds() if self._limit is not None else 0.0
        while not self._running:
            # Short functions follow each other: to wake this thread for each would take longer
            # than most of them do. One that begins meanwhile is guarded already.
            faulthandler.dump_traceback_later(_LINGER_SECONDS + limit + _NOTICE_SECONDS, exit=True)
            self._changed.wait(_LINGER_SECONDS)
            if not self._running:
                faulthandler.cancel_dump_traceback_later()
                self._idle = True
                self._changed.wait()
                self._idle = False
        return next(iter(self._running.values())).deadline - time.monotonic()

    def _expire(self) -> None:
        if not self.spent.is_set():
            faulthandler.dump_traceback_later(_END_SECONDS, exit=True)
            self.spent.set()
        now = time.monotonic()
        for invocation in list(self._running.values()):
            if invocation.deadline > now:
                # Such as come to their own end while the process comes to its.
                self._loop.call_at(self._loop.time() + invocation.deadline - now, self._expire)
                return
            if not invocation.timed_out:
                if not invocation.told:
                    self._say(invocation)
                invocation.timed_out = True
                # A coroutine ends by this, and whoever waits for a thread does not wait any more.
                invocation.task.cancel()
