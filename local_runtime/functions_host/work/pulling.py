"""The work side of a host process: how many work items it takes, and for how long it pulls them."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator

import azure_functions_runtime as worker

from local_runtime.background import BackgroundTasks
from local_runtime.errors import StartupError
from local_runtime.functions_host.app.function_index import FunctionIndex
from local_runtime.functions_host.app.invocation import Invoker
from local_runtime.functions_host.work.activity_bridge import ActivityBridge
from local_runtime.functions_host.work.entity_bridge import EntityBridge
from local_runtime.functions_host.work.orchestration_bridge import OrchestrationBridge
from local_runtime.functions_host.work.work_item_stream import Limits
from local_runtime.functions_host.work.work_items import Bridges, WorkItems
from local_runtime.settings import HostJson

_PER_CORE = 10
# Synchronous HTTP functions share the threads; some must be left when every other one is taken.
_SPARE_THREADS = 32


def limits_of(host: HostJson) -> Limits:
    """Return how many work items of each kind one process takes at once, as on Azure."""
    usual = _PER_CORE * (os.cpu_count() or 1)
    return Limits(
        orchestrations=host.max_orchestrations or usual,
        activities=host.max_activities or usual,
        entities=host.max_entities or usual,
    )


def threads_for(limits: Limits) -> int:
    """Return how many threads it takes for so many synchronous functions at once."""
    return sum((limits.orchestrations, limits.activities, limits.entities, _SPARE_THREADS))


def bridges_for(index: FunctionIndex, invoker: Invoker) -> Bridges:
    """Return what runs the app's functions for each kind of work item."""
    return Bridges(
        orchestrations=OrchestrationBridge(index, invoker),
        activities=ActivityBridge(index, invoker),
        entities=EntityBridge(index, invoker),
    )


@contextlib.asynccontextmanager
async def pulling(
    work_items: WorkItems, tasks: BackgroundTasks, stop: asyncio.Event, grace_seconds: float
) -> AsyncGenerator[None]:
    """Pull work items inside the `async with`; then let those that run finish for a while.

    Raises:
        StartupError: The scheduler refuses the task hub; `stop` was set when it did.
    """

    async def pull() -> None:
        await work_items.run()
        pulling.let_end()  # it returns when no more work is to be taken

    pulling = tasks.start("pulling work", pull, fatal=(StartupError,), on_end=stop.set)
    try:
        yield
    finally:
        await work_items.stop(grace_seconds)
        await pulling.stop()
        executor = worker.get_threadpool_executor()
        if executor is not None:
            # Not waited for: a thread cannot be stopped, and its work item has been given back.
            executor.shutdown(wait=False, cancel_futures=True)
