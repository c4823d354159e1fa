"""Runs one process of the Functions host: one app, its work items, and HTTP if it is the first."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from local_runtime.background import BackgroundTasks
from local_runtime.clock import SystemClock
from local_runtime.errors import ProcessSpent, StartupError
from local_runtime.functions_host.app.app_loader import load_app
from local_runtime.functions_host.app.client_binding import WEBHOOK_PATH, ClientBinding
from local_runtime.functions_host.app.function_index import FunctionIndex
from local_runtime.functions_host.app.invocation import Invoker
from local_runtime.functions_host.app.invocation_label import label_records
from local_runtime.functions_host.app.watchdog import Watchdog
from local_runtime.functions_host.ids import random_id
from local_runtime.functions_host.keys.key_store import KeyStore
from local_runtime.functions_host.starts.start_guard import StartGuards
from local_runtime.functions_host.storage_side import storage_side
from local_runtime.functions_host.succession import Alone, Succession, any_of
from local_runtime.functions_host.triggers.listener import Listeners
from local_runtime.functions_host.triggers.timer.listener import TimerListener
from local_runtime.functions_host.triggers.timer.timers import TimerHost, timer_listeners
from local_runtime.functions_host.work.pulling import bridges_for, limits_of, pulling, threads_for
from local_runtime.functions_host.work.work_items import WorkItems
from local_runtime.scheduler.client import SchedulerClient
from local_runtime.settings import AppSettings, HostJson, host_state_dir

if TYPE_CHECKING:
    from local_runtime.functions_host.web.front_door import FrontDoor
    from local_runtime.functions_host.web.http_side import HttpSide

# So long a request waits for an answer before it is told that the scheduler is not there.
_SCHEDULER_PATIENCE = 3.0
# For a request whose connection was accepted just before no more are.
_LAST_REQUEST_SECONDS = 0.5

logger = logging.getLogger("local_runtime.host")


@dataclass(frozen=True)
class HostSettings:
    """Which app to run, and where."""

    app_dir: Path
    port: int
    scheduler: str
    """The address of the scheduler, as a URL or as `host:port`."""
    task_hub: str
    """The task hub; empty for the one that the app's own settings name."""
    data_dir: Path
    """Where state is kept; the host's own is in its folder `host`."""
    dashboard_url: str | None = None
    enable_auth: bool = False
    """Whether keys are asked for, as on Azure."""
    grace_seconds: float = 6.0
    """How long running work items may take to finish when the host stops."""
    listen_fd: int | None = None
    """The number of an open socket that listens on `port`, if it belongs to the parent process."""
    worker_only: bool = False
    """Only run work items; another process serves HTTP on `port` and watches for triggers."""


async def serve(
    settings: HostSettings,
    *,
    ready: Callable[[Mapping[str, object]], None],
    stop: asyncio.Event,
    succession: Succession | None = None,
) -> None:
    """Run a host process until `stop` is set. The app is imported into it, so it is for one app.

    Args:
        settings: Which app to run, and where.
        ready: Called once, with the port, the functions and the agents, when the app is loaded,
            the scheduler is reached and the port is listened on.
        stop: Ends the host. Functions that run have a few seconds to finish; work items that do
            not are given back to the scheduler.
        succession: When to begin and to make way, for one of several processes.

    Raises:
        StartupError: The app is broken, the port is taken, or the keys cannot be used.
        ProcessSpent: A function took longer than it may; this process is to be replaced.
    """
    label_records()
    app = AppSettings.load(settings.app_dir.resolve(), os.environ)
    keys = KeyStore(host_state_dir(settings.data_dir))
    webhook_key = keys.webhook_value if settings.enable_auth else _no_key
    webhook_key()  # now, so that keys that cannot be used end the start
    turn = succession or Alone()
    watchdog = Watchdog(app.host.function_timeout)
    async with contextlib.AsyncExitStack() as closing:
        http = await _http_side(settings, closing)
        port = settings.port if http is None else http.port
        loaded = await _load(settings, app, watchdog, port, webhook_key, closing)
        work_items = loaded.work_items
        await closing.enter_async_context(
            pulling(work_items, loaded.tasks, stop, settings.grace_seconds)
        )
        await _reach_scheduler(work_items, http, stop)
        if not stop.is_set():
            ready(_facts(port, loaded.index))
        await any_of(turn.begin, stop)
        if not stop.is_set():
            work_items.begin()
            if http is not None:
                await http.open(_front_door(settings, app, loaded, keys, port))
                await closing.enter_async_context(loaded.listeners)
        await any_of(stop, turn.make_way, watchdog.spent)
        if turn.make_way.is_set() and not stop.is_set():
            # What runs for a listener may take its time: work and requests go on meanwhile.
            await loaded.listeners.drain(settings.grace_seconds)
            _take_no_more(work_items, http)
            turn.made_way()
            await any_of(stop, watchdog.spent)
        if watchdog.spent.is_set() and not stop.is_set():
            _take_no_more(work_items, http)
            await any_of(stop, within=_LAST_REQUEST_SECONDS)
        logger.info("stopping")
        await asyncio.gather(
            loaded.listeners.drain(settings.grace_seconds),
            _finish(work_items, http, settings.grace_seconds),
        )
    if watchdog.spent.is_set():
        raise ProcessSpent


def _take_no_more(work_items: WorkItems, http: "HttpSide | None") -> None:
    work_items.take_no_more()
    if http is not None:
        http.accept_no_more()


async def _finish(work_items: WorkItems, http: "HttpSide | None", grace_seconds: float) -> None:
    if http is not None:
        # First, while work items still run: a request may be waiting for one.
        await http.close()
    await work_items.stop(grace_seconds)


@dataclass(frozen=True)
class _Loaded:
    """The app, and what runs its functions."""

    index: FunctionIndex
    scheduler: SchedulerClient
    invoker: Invoker
    work_items: WorkItems
    listeners: Listeners
    tasks: BackgroundTasks


async def _load(
    settings: HostSettings,
    app: AppSettings,
    watchdog: Watchdog,
    port: int,
    webhook_key: Callable[[], str | None],
    closing: contextlib.AsyncExitStack,
) -> _Loaded:
    limits = limits_of(app.host)
    # As Core Tools says it: an app that hands out URLs of its own learns from it where it is.
    os.environ.setdefault("WEBSITE_HOSTNAME", f"localhost:{port}")
    with _warnings_once(settings):
        index = await load_app(app, threads=threads_for(limits))
    address = _url(settings.scheduler)
    hub = _sendable(settings.task_hub or app.task_hub)
    scheduler = await closing.enter_async_context(SchedulerClient.open(address, hub))
    # Answers to work items go out on a connection of their own, however many requests there are.
    work = await closing.enter_async_context(SchedulerClient.open(address, hub))
    storage = await storage_side(index, app, closing)
    guards = await closing.enter_async_context(StartGuards(scheduler.channel))
    client = _client_binding(app.host, address, hub, port, webhook_key)
    invoker = Invoker(client, random_id, watchdog, storage.bindings, guards)
    work_items = WorkItems(work, address, bridges_for(index, invoker), limits)
    timers = [] if settings.worker_only else _timers(index, invoker, settings, hub)
    tasks = BackgroundTasks(SystemClock())
    listeners = Listeners([*storage.listeners(index, invoker), *timers], tasks)
    return _Loaded(index, scheduler, invoker, work_items, listeners, tasks)


async def _http_side(
    settings: HostSettings, closing: contextlib.AsyncExitStack
) -> "HttpSide | None":
    if settings.worker_only:
        return None
    # Here, so that the other processes do not need the memory for it.
    from local_runtime.functions_host.web.http_side import HttpSide

    http = await HttpSide.create(settings.port, settings.listen_fd)
    closing.push_async_callback(http.close)
    return http


def _front_door(
    settings: HostSettings, app: AppSettings, loaded: _Loaded, keys: KeyStore, port: int
) -> "FrontDoor":
    from local_runtime.functions_host.web.opening import Opening

    return Opening(
        app,
        loaded.index,
        loaded.invoker,
        loaded.scheduler,
        loaded.tasks.reports,
        keys,
        port,
        settings.enable_auth,
        settings.dashboard_url,
    ).front_door()


async def _reach_scheduler(
    work_items: WorkItems, http: "HttpSide | None", stop: asyncio.Event
) -> None:
    reached = await any_of(work_items.connected, stop, within=_SCHEDULER_PATIENCE)
    if not reached and http is not None:
        await http.begin()
    await any_of(work_items.connected, stop)


def _timers(
    index: FunctionIndex, invoker: Invoker, settings: HostSettings, task_hub: str
) -> list[TimerListener]:
    # By task hub: an app with another hub is another app, though it keeps its data in one place.
    folder = host_state_dir(settings.data_dir) / "timers" / quote(task_hub.lower(), safe="")
    return timer_listeners(index.functions, TimerHost(invoker, SystemClock(), folder, os.environ))


@contextlib.contextmanager
def _warnings_once(settings: HostSettings) -> Generator[None]:
    """Say what is odd about the app in one of its processes only."""
    level = logger.level
    if settings.worker_only:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _client_binding(
    host: HostJson,
    scheduler_url: str,
    task_hub: str,
    port: int,
    webhook_key: Callable[[], str | None],
) -> ClientBinding:
    return ClientBinding(
        task_hub=task_hub,
        connection_name=host.connection_name,
        scheduler_url=scheduler_url,
        webhook_url=f"http://localhost:{port}{WEBHOOK_PATH}",
        environ=os.environ,
        max_message_bytes=host.max_grpc_message_bytes,
        use_forwarded_host=host.use_forwarded_host,
        webhook_key=webhook_key,
    )


def _no_key() -> None:
    """Nothing is asked for, so nothing is handed out."""


def _sendable(task_hub: str) -> str:
    """Return the hub's name. Which names it takes is the scheduler's to say, if it can be asked."""
    if not (task_hub.isascii() and task_hub.isprintable()):
        raise StartupError(
            f"the task hub {task_hub!r} cannot be used: a name is made of letters, digits, '-' "
            "and '_'. Change hubName in host.json, or give another with --task-hub."
        )
    return task_hub


def _url(address: str) -> str:
    return address if "://" in address else f"http://{address}"


def _facts(port: int, index: FunctionIndex) -> dict[str, object]:
    return {
        "port": port,
        "functions": [
            {"name": function.durable_name, "trigger": function.trigger.type}
            for function in index.functions
        ],
        "agents": list(index.agents),
    }
