"""Runs the Functions host: one app, its work items, its HTTP functions and the webhook."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import azure_functions_runtime as worker

from local_runtime.errors import StartupError
from local_runtime.functions_host.admin.routes import admin_of
from local_runtime.functions_host.app.app_loader import load_app
from local_runtime.functions_host.app.client_binding import ClientBinding
from local_runtime.functions_host.app.function_index import FunctionIndex
from local_runtime.functions_host.app.invocation import Invoker
from local_runtime.functions_host.ids import random_id
from local_runtime.functions_host.keys.browser_guard import BrowserGuard
from local_runtime.functions_host.keys.key_store import KeyStore
from local_runtime.functions_host.keys.protection import Protection
from local_runtime.functions_host.web.front_door import FrontDoor, Gate
from local_runtime.functions_host.web.home_page import HomeFacts, HomePage
from local_runtime.functions_host.webhook.management_urls import WEBHOOK_PATH
from local_runtime.functions_host.work.activity_bridge import ActivityBridge
from local_runtime.functions_host.work.entity_bridge import EntityBridge
from local_runtime.functions_host.work.orchestration_bridge import OrchestrationBridge
from local_runtime.functions_host.work.work_items import Bridges, Limits, WorkItems
from local_runtime.http_server import listen, serving
from local_runtime.scheduler.client import SchedulerClient
from local_runtime.settings import AppSettings, HostJson

_PER_CORE = 10
_REQUEST_GRACE_SECONDS = 3
# Synchronous HTTP functions share the threads; some must be left when every other one is taken.
_SPARE_THREADS = 32

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

    @property
    def state_dir(self) -> Path:
        """The folder for what this host itself keeps."""
        return self.data_dir.resolve() / "host"


async def serve(
    settings: HostSettings, *, ready: Callable[[Mapping[str, object]], None], stop: asyncio.Event
) -> None:
    """Run the host until `stop` is set. One host per process: the app is imported into it.

    Args:
        settings: Which app to run, and where.
        ready: Called once, with the port, the functions and the agents, when the app is loaded,
            the scheduler is reached and the port is listened on.
        stop: Ends the host. Functions that run have a few seconds to finish; work items that do
            not are given back to the scheduler.

    Raises:
        StartupError: The app is broken, the port is taken, or the keys cannot be used.
    """
    app = AppSettings.load(settings.app_dir.resolve(), os.environ)
    keys = KeyStore(settings.state_dir)
    guard = BrowserGuard(use_forwarded_host=app.host.use_forwarded_host)
    protection = Protection(keys, guard, asks_for_keys=settings.enable_auth)
    protection.prepare()
    gate = Gate()
    async with contextlib.AsyncExitStack() as http:
        listener = listen(settings.port, "--port")
        port = await http.enter_async_context(
            serving(gate, listener, grace_seconds=_REQUEST_GRACE_SECONDS)
        )
        limits = _limits(app.host)
        index = await load_app(app, threads=_threads(limits))
        address = _url(settings.scheduler)
        hub = _sendable(settings.task_hub or app.task_hub)
        async with SchedulerClient.open(address, hub) as scheduler:
            binding = _client_binding(app.host, address, hub, port, protection.webhook_key)
            invoker = Invoker(binding, random_id)
            work_items = WorkItems(scheduler, address, _bridges(index, invoker), limits)
            async with _pulling(work_items, stop, settings.grace_seconds):
                if not stop.is_set():
                    facts = HomeFacts(
                        app.app_dir, hub, app.host.route_prefix, settings.dashboard_url
                    )
                    home = HomePage(index, protection, facts)
                    admin = admin_of(app, index, invoker, protection, keys, port)
                    gate.open(
                        FrontDoor(index, invoker, scheduler, app.host, protection, admin, home)
                    )
                    ready(_facts(port, index))
                await stop.wait()
                logger.info("stopping")
                # First, while work items still run: a request may be waiting for one.
                await http.aclose()


@contextlib.asynccontextmanager
async def _pulling(
    work_items: WorkItems, stop: asyncio.Event, grace_seconds: float
) -> AsyncGenerator[None]:
    """Pull work items inside the `async with`, which is entered once the scheduler is reached."""
    pulling = asyncio.create_task(work_items.run())
    # Should it ever end by itself, by a fault, the host stops and shows the fault.
    pulling.add_done_callback(lambda _: stop.set())
    waits = [asyncio.create_task(work_items.connected.wait()), asyncio.create_task(stop.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        yield
    finally:
        for wait in waits:
            wait.cancel()
        await work_items.stop(grace_seconds)
        pulling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pulling
        executor = worker.get_threadpool_executor()
        if executor is not None:
            # Not waited for: a thread cannot be stopped, and its work item has been given back.
            executor.shutdown(wait=False, cancel_futures=True)


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


def _bridges(index: FunctionIndex, invoker: Invoker) -> Bridges:
    return Bridges(
        orchestrations=OrchestrationBridge(index, invoker),
        activities=ActivityBridge(index, invoker),
        entities=EntityBridge(index, invoker),
    )


def _limits(host: HostJson) -> Limits:
    usual = _PER_CORE * (os.cpu_count() or 1)
    return Limits(
        orchestrations=host.max_orchestrations or usual,
        activities=host.max_activities or usual,
        entities=host.max_entities or usual,
    )


def _threads(limits: Limits) -> int:
    return sum((limits.orchestrations, limits.activities, limits.entities, _SPARE_THREADS))


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
