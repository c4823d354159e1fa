"""Runs one timer function whenever it is due: one run at a time, in one host at a time."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from filelock import FileLock, Timeout

from local_runtime.clock import Clock
from local_runtime.functions_host.app.watchdog import FunctionTimedOut
from local_runtime.functions_host.app.worker_messages import RetryContext, RpcException
from local_runtime.functions_host.triggers.timer.retries import FOR_EVER, NO_RETRIES, RetryPolicy
from local_runtime.functions_host.triggers.timer.schedule import Schedule
from local_runtime.functions_host.triggers.timer.status import (
    StatusFile,
    TimerStatus,
    timer_info,
)

_LOCK_PAUSE = timedelta(seconds=2)

logger = logging.getLogger("local_runtime.host")

Invoke = Callable[[str, RetryContext], Awaitable[RpcException | None]]
"""Invokes the function with the JSON of its timer, and returns what it raised, if anything.

It raises FunctionTimedOut if nothing is known of the run because this process is being replaced.
"""


@dataclass(frozen=True)
class Timer:
    """One timer function: what it is called, and when it is to run."""

    name: str
    schedule: Schedule
    use_monitor: bool = True
    """Whether its state is kept, so that a run that was missed is made up for."""
    run_on_startup: bool = False
    retries: RetryPolicy = NO_RETRIES


class TimerListener:
    """Waits until a timer is due and runs it, again and again."""

    def __init__(
        self, timer: Timer, invoke: Invoke, clock: Clock, lock: FileLock, file: StatusFile
    ) -> None:
        self.name = f"timer {timer.name}"
        self._timer = timer
        self._invoke = invoke
        self._clock = clock
        self._lock = lock
        self._file = file
        self._stopping = False
        self._started = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Run the timer until cancelled, once no other process does."""
        if not self._stopping:
            await self._run_alone()
        # Begun again, a run that took too long would be run once more before its process ends.
        await asyncio.Event().wait()

    async def _run_alone(self) -> None:
        async with self._alone():
            now = self._clock.now()
            monitored = self._timer.use_monitor and not self._timer.schedule.under_a_minute(now)
            status = self._begin(now, monitored)
            if monitored and now > status.next:
                logger.info("timer %s has missed a run; it runs now", self._timer.name)
                status = await self._fire(status, monitored, now, past_due=True)
            elif self._timer.run_on_startup and not self._started:
                self._started = True  # not again where this is called anew after a fault
                status = await self._fire(status, monitored, now)
            due = status.next.astimezone(self._timer.schedule.zone)
            logger.info("timer %s runs next at %s", self._timer.name, due.isoformat(" "))
            while not self._stopping:
                await self._clock.sleep_until(status.next)
                if not self._stopping:
                    # A clock may be a little early: the same run must not come up twice.
                    began = max(self._clock.now(), status.next)
                    status = await self._fire(status, monitored, began)

    async def stop(self, grace: float) -> None:
        """Begin no more runs, and let one that has begun finish for `grace` seconds."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace)

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None]:
        """Hold the timer's lock inside the `async with`; the system frees it if this dies."""
        waited = False
        while True:
            try:
                self._lock.acquire(blocking=False)
                break
            except Timeout:
                if not waited:
                    logger.info("timer %s is run by another host process", self._timer.name)
                waited = True
                await self._clock.sleep_until(self._clock.now() + _LOCK_PAUSE)
        try:
            yield
        finally:
            self._lock.release()

    def _begin(self, now: datetime, monitored: bool) -> TimerStatus:
        stored = self._file.read() if monitored else None
        if stored is None:
            status = TimerStatus.first(self._timer.schedule, now)
        else:
            status = stored.checked(self._timer.schedule, now)
        if monitored and status != stored:
            # Already before the first run, which may be missed as well.
            self._store(status)
        return status

    async def _fire(
        self, status: TimerStatus, monitored: bool, began: datetime, *, past_due: bool = False
    ) -> TimerStatus:
        self._idle.clear()
        try:
            shown = status if monitored else None
            info = timer_info(self._timer.schedule, shown, past_due=past_due)
            if not await self._run_to_its_end(info):
                self._stopping = True
                return status
            after = status.after_run(self._timer.schedule, began)
            # Not before the run has ended: what a crash cuts off is made up for.
            if monitored:
                self._store(after)
            return after
        finally:
            self._idle.set()

    async def _run_to_its_end(self, info: str) -> bool:
        """Run it until no retry is left for it; False if its end is not known or not reached."""
        policy = self._timer.retries
        tried = RetryContext(0, policy.most)
        while True:
            try:
                error = await self._invoke(info, tried)
            except FunctionTimedOut:
                return False
            if error is None or not policy.allows(tried.retry_count + 1):
                return True
            tried = RetryContext(tried.retry_count + 1, policy.most, error)
            if not await self._pause_before(tried):
                return False

    async def _pause_before(self, retry: RetryContext) -> bool:
        """Wait until it is time; False if the timer is to stop instead."""
        pause = self._timer.retries.pause(retry.retry_count)
        logger.info(
            "timer %s runs again in %s (retry %d%s)",
            self._timer.name,
            pause,
            retry.retry_count,
            "" if retry.max_retry_count == FOR_EVER else f" of {retry.max_retry_count}",
        )
        # Nothing runs meanwhile that a stop would have to wait for.
        self._idle.set()
        await self._clock.sleep_until(self._clock.now() + pause)
        self._idle.clear()
        return not self._stopping

    def _store(self, status: TimerStatus) -> None:
        try:
            self._file.write(status)
        except OSError as error:
            logger.error(
                "the state of timer %s could not be stored (%s); after a restart a missed run "
                "may go unnoticed, or a run may come twice",
                self._timer.name,
                error,
            )
