"""Tasks that go on for as long as their process: begun again when they fail, and kept in sight.

A task of asyncio's own that fails is forgotten: what it did is not done any more, and nobody hears
of it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from local_runtime.clock import Clock

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
STEADY_SECONDS = 30.0
"""A task that has run for so long is well: its next failure counts as the first one."""
_MAX_TEXT = 500

logger = logging.getLogger("local_runtime.background")

type Run = Callable[[], Awaitable[None]]


class TaskState(StrEnum):
    """What a background task does at the moment."""

    RUNNING = "running"
    BACKING_OFF = "backing off"
    STOPPED = "stopped"


@dataclass(frozen=True)
class TaskReport:
    """A background task as it is at one moment."""

    name: str
    state: TaskState
    since: datetime
    failures: int
    """How often it has failed since it was started."""
    last_error: str = ""
    failed_at: datetime | None = None

    @property
    def is_well(self) -> bool:
        """Whether it runs, or has been stopped on purpose."""
        return self.state is not TaskState.BACKING_OFF

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "name": self.name,
            "state": self.state.value,
            "since": _text(self.since),
            "failures": self.failures,
            "lastError": self.last_error,
            "failedAt": None if self.failed_at is None else _text(self.failed_at),
        }


class EndedByItself(Exception):
    """A task returned that was to go on until it is stopped."""


class BackgroundTask:
    """Runs a coroutine function until it is stopped, again and again should it fail or return.

    Each kind of failure is logged when it comes for the first time, with its traceback, and is
    counted from then on.

    Args:
        name: What the task is called in the log and in reports.
        run: Does the work; it is called anew after each failure.
        clock: Tells when something happened.
        fatal: Errors that are not the task's own: they end it, and `stop` raises them.
        on_end: Called when the task has ended, for whatever reason.
    """

    def __init__(
        self,
        name: str,
        run: Run,
        clock: Clock,
        *,
        owner: str = "",
        fatal: tuple[type[Exception], ...] = (),
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self._name = name
        self._title = f"{owner}: {name}" if owner else name
        self._run = run
        self._clock = clock
        self._fatal = fatal
        self._on_end = on_end
        self._report = TaskReport(name, TaskState.STOPPED, clock.now(), 0)
        self._known: set[tuple[object, ...]] = set()
        self._may_end = False
        self._task: asyncio.Task[None] | None = None

    @property
    def report(self) -> TaskReport:
        """How the task is."""
        return self._report

    def start(self) -> None:
        """Begin."""
        self._change(TaskState.RUNNING)
        self._task = asyncio.create_task(self._keep(), name=self._title)

    def let_end(self) -> None:
        """From now on it is no failure when the task returns."""
        self._may_end = True

    async def stop(self) -> None:
        """Cancel the task and wait for its end.

        Raises:
            Exception: What ended the task before, if that was one of the `fatal` errors.
        """
        self._may_end = True
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        try:
            while True:
                began = loop.time()
                error = await self._failure()
                if error is None:
                    return
                if loop.time() - began > STEADY_SECONDS:
                    pause = FIRST_PAUSE
                    self._known.clear()
                self._failed(error, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                self._change(TaskState.RUNNING)
        finally:
            self._change(TaskState.STOPPED)
            if self._on_end is not None:
                self._on_end()

    async def _failure(self) -> BaseException | None:
        """Run the task; return how it failed, or None if it ended because it was told to."""
        try:
            await self._run()
        except self._fatal:
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if self._may_end or (task is not None and task.cancelling()):
                raise
            return error  # of something that it waited for: nobody has cancelled the task itself
        except Exception as error:
            return error
        return None if self._may_end else EndedByItself("it ended by itself")

    def _failed(self, error: BaseException, pause: float) -> None:
        text = _described(error)
        kind = _kind(error)
        self._report = TaskReport(
            self._name,
            TaskState.BACKING_OFF,
            self._clock.now(),
            self._report.failures + 1,
            text,
            self._clock.now(),
        )
        if kind in self._known:
            logger.debug("%s failed again, and begins again in %g s: %s", self._title, pause, text)
            return
        self._known.add(kind)
        logger.error(
            "%s failed, and begins again in %g s: %s. While it fails in the same way, it is tried "
            "again at most %g s later each time, and this is not said again.",
            self._title,
            pause,
            text,
            LONGEST_PAUSE,
            exc_info=error,
        )

    def _change(self, state: TaskState) -> None:
        old = self._report
        self._report = TaskReport(
            old.name, state, self._clock.now(), old.failures, old.last_error, old.failed_at
        )


class BackgroundTasks:
    """The background tasks of a process, or of a part of it that begins and ends by itself.

    Args:
        clock: Tells when something happened to them.
        owner: What they belong to, for the log.
    """

    def __init__(self, clock: Clock, owner: str = "") -> None:
        self._clock = clock
        self._owner = owner
        self._tasks: list[BackgroundTask] = []

    def start(
        self,
        name: str,
        run: Run,
        *,
        fatal: tuple[type[Exception], ...] = (),
        on_end: Callable[[], None] | None = None,
    ) -> BackgroundTask:
        """Start a task, and keep it in the reports from now on; see `BackgroundTask`."""
        task = BackgroundTask(name, run, self._clock, owner=self._owner, fatal=fatal, on_end=on_end)
        self._tasks.append(task)
        task.start()
        return task

    def reports(self) -> list[TaskReport]:
        """Return how each task is, in the order they were started."""
        return [task.report for task in self._tasks]

    async def stop(self) -> None:
        """Stop all tasks, the last first."""
        for task in reversed(self._tasks):
            await task.stop()


def _described(error: BaseException) -> str:
    text = str(error) or "no message"
    return f"{type(error).__name__}: {text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + '...'}"


def _kind(error: BaseException) -> tuple[object, ...]:
    """Return what is the same for errors that come from the same place, whatever they name."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else ()
    return (type(error), *place)


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
