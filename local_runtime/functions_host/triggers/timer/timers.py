"""The timer functions of an app, each with a listener."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock

from local_runtime.clock import Clock
from local_runtime.errors import StartupError
from local_runtime.functions_host.app.function_index import TIMER, Function
from local_runtime.functions_host.app.invocation import FunctionFailed, Invoker
from local_runtime.functions_host.app.watchdog import FunctionTimedOut
from local_runtime.functions_host.app.worker_messages import (
    RetryContext,
    RpcException,
    TypedData,
)
from local_runtime.functions_host.triggers.timer.listener import Invoke, Timer, TimerListener
from local_runtime.functions_host.triggers.timer.ncrontab import ScheduleError
from local_runtime.functions_host.triggers.timer.retries import RetryPolicy
from local_runtime.functions_host.triggers.timer.schedule import parse_schedule
from local_runtime.functions_host.triggers.timer.status import StatusFile
from local_runtime.functions_host.triggers.timer.time_zone import time_zone
from local_runtime.settings import resolve

logger = logging.getLogger("local_runtime.host")


@dataclass(frozen=True)
class TimerHost:
    """What all timers of a host share."""

    invoker: Invoker
    clock: Clock
    folder: Path
    """Where the state of the timers is kept; hosts that share it share the timers."""
    environ: Mapping[str, str]


def timer_listeners(functions: Sequence[Function], host: TimerHost) -> list[TimerListener]:
    """Return a listener for each timer function whose schedule makes sense.

    The others are named in the log, and the rest of the app runs.

    Raises:
        StartupError: The folder for their state cannot be made, or the time zone is none.
    """
    timers = [function for function in functions if function.trigger.type == TIMER]
    if not timers:
        return []
    try:
        host.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(
            f"the state of the app's timers cannot be kept in {host.folder}: {error.strerror}. "
            "Give another folder with --data."
        ) from error
    zone = time_zone(host.environ)
    listeners: list[TimerListener] = []
    for function in timers:
        try:
            timer = _timer(function, host.environ, zone)
        except ScheduleError as error:
            logger.error(
                "timer function %r does not run: %s; everything else of the app runs",
                function.name,
                error,
            )
            continue
        path = host.folder / f"{quote(function.name.lower(), safe='')}.json"
        lock = FileLock(path.with_suffix(".lock"))
        listeners.append(
            TimerListener(timer, _invoke(function, host), host.clock, lock, StatusFile(path))
        )
    return listeners


def _timer(function: Function, environ: Mapping[str, str], zone: tzinfo) -> Timer:
    settings = function.trigger.settings
    written = str(settings.get("schedule") or "")
    text = resolve(written, environ)
    if text is None:
        raise ScheduleError(f"its schedule is {written!r}, and that setting is not set")
    if not text.strip():
        raise ScheduleError("its schedule is empty")
    return Timer(
        function.name,
        parse_schedule(text, zone),
        use_monitor=settings.get("useMonitor") is not False,
        run_on_startup=settings.get("runOnStartup") is True,
        retries=RetryPolicy.of(function.retry_options),
    )


def _invoke(function: Function, host: TimerHost) -> Invoke:
    async def invoke(timer_info: str, retry: RetryContext) -> RpcException | None:
        # In a task of its own: what it logs belongs to the run, what comes after it does not.
        return await asyncio.create_task(run(timer_info, retry))

    async def run(timer_info: str, retry: RetryContext) -> RpcException | None:
        try:
            await host.invoker.invoke(function, TypedData(json=timer_info), retry=retry)
        except FunctionFailed as failed:
            logger.error("timer %s failed: %s\n%s", function.name, failed.text, failed.stack_trace)
            return RpcException(failed.text, failed.stack_trace)
        except FunctionTimedOut:
            raise
        except Exception as error:
            # Whatever it was, the timer goes on.
            logger.exception("timer %s could not be run", function.name)
            return RpcException(f"{type(error).__name__}: {error}")
        return None

    return invoke
