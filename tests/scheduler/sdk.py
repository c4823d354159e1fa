"""The Python SDK's own worker and client, as tests use them."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from durabletask import client, worker


class Sdk:
    """A worker with some functions, and a client."""

    def __init__(self, address: str) -> None:
        self.quiet = logging.getLogger("tests.sdk")
        self.address = address
        self.worker = worker.TaskHubGrpcWorker(host_address=address, logger=self.quiet)
        self.client = client.AsyncTaskHubGrpcClient(host_address=address, logger=self.quiet)

    def has(self, *functions: Callable[..., Any]) -> None:
        for function in functions:
            parameters = function.__code__.co_varnames
            if function.__name__.startswith("do_"):
                self.worker.add_activity(function)
            elif parameters[0] == "entity":
                self.worker.add_entity(function)
            else:
                self.worker.add_orchestrator(function)
        self.worker.start()

    async def run(self, function: Callable[..., Any], given: Any = None) -> Any:
        instance_id = await self.client.schedule_new_orchestration(function, input=given)
        return await self.finished(instance_id)

    async def finished(self, instance_id: str) -> client.OrchestrationState:
        state = await self.client.wait_for_orchestration_completion(instance_id, timeout=20)
        assert state is not None
        return state


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[Sdk]:
    """The SDK's two sides at a scheduler; the worker starts when a test gives it functions."""
    found = Sdk(address)
    try:
        yield found
    finally:
        await asyncio.to_thread(found.worker.stop)
        with contextlib.suppress(Exception):
            await found.client.close()
