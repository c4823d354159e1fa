"""Agents on the SDK's own worker: the functions that a Functions app would have, registered there.

Activities of that worker are plain functions in its threads; those of the library are coroutines.
They run on one event loop, and a thread waits for each: `maximum_thread_pool_workers` of the SDK's
`ConcurrencyOptions` is how many models and tools are waited for at a time.
"""

import itertools
import os
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

from durabletask.client import AsyncTaskHubGrpcClient
from durabletask.payload import PayloadStore
from durabletask.task import ActivityContext, RetryPolicy
from durabletask.worker import TaskHubGrpcWorker

from durable_agents.agent import Agent
from durable_agents.call import AnyContext
from durable_agents.durable_clients import close_clients, register_factory
from durable_agents.function_list import (
    BUILT_IN_NAMES,
    DurableFunction,
    built_in_functions,
    functions_of_agent,
)
from durable_agents.handle import DurableAgent
from durable_agents.model import ChatModel
from durable_agents.registry import Registry
from durable_agents.retry import default_retry_policy
from durable_agents.worker.loop_thread import LoopThread

_numbers = itertools.count(1)


class AgentWorker:
    """Agents on a Durable Task worker, without a Functions app.

    The worker stays its owner's: flows and activities are added to it as ever, and it may be
    started and stopped by itself. As a context manager this starts the worker and stops it.

    Args:
        worker: The worker, not yet started.
        client: Opens a client of the worker's task hub. It is called on the event loop of the
            activities, once. Without one agents have no sessions, and what a run waits for is not
            ended with it.
        chat_client: The model of agents that name none.
        retry: How calls are retried; None for three attempts, 5 s apart and doubling.
        payload_store: Where results of tools go that are too large to be told.
    """

    def __init__(
        self,
        worker: TaskHubGrpcWorker,
        *,
        client: Callable[[], AsyncTaskHubGrpcClient] | None = None,
        chat_client: ChatModel | None = None,
        retry: RetryPolicy | None = None,
        payload_store: PayloadStore | None = None,
    ) -> None:
        self._worker = worker
        self._client = ""
        if client is not None:
            self._client = f"agent-worker-{next(_numbers)}"
            register_factory(self._client, client)
        self._loop = LoopThread("agent-activities", close_clients)
        self._registry = Registry(
            retry or default_retry_policy(os.environ),
            chat_client,
            reserved=BUILT_IN_NAMES,
            payload_store=payload_store,
        )
        for one in built_in_functions(self._registry):
            self._add(one)

    @property
    def agents(self) -> Mapping[str, Agent]:
        """The registered agents, by name."""
        return {name: one.agent for name, one in self._registry.agents.items() if one.public}

    def add_agent(self, agent: Agent) -> Self:
        """Register an agent, and those that it may ask or hand over to; returns the worker.

        Raises:
            InvalidAgent: The name is taken, or there is no model for the agent.
            RuntimeError: The worker has been started.
            ValueError: The worker has a function of its owner's by one of the names.
        """
        for one in functions_of_agent(self._registry, agent):
            self._add(one)
        return self

    def get_agent(self, context: AnyContext, name: str) -> DurableAgent:
        """Return the agent `name`, to be called in the orchestration of `context`.

        Raises:
            AgentNotRegistered: There is no such agent; the message lists those there are.
        """
        return DurableAgent(context, self._registry.get(name))

    def start(self) -> None:
        """Start the worker: it takes work from now on."""
        self._worker.start()

    def stop(self) -> None:
        """Stop the worker once what it has begun has ended, and close what the agents have open."""
        self._worker.stop()
        self._loop.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None:
        self.stop()

    def _add(self, one: DurableFunction) -> None:
        match one.kind:
            case "activity":
                self._worker.add_activity(self._in_thread(one))
            case "orchestrator":
                self._worker.add_orchestrator(one.body)
            case "entity":
                self._worker.add_entity(one.body, one.name)

    def _in_thread(self, one: DurableFunction) -> Callable[[ActivityContext, Any], Any]:
        body = partial(one.body, client=self._client) if one.client else one.body

        def call(_context: ActivityContext, given: Any) -> Any:
            return self._loop.run(body(given))

        # The worker registers it by this name.
        call.__name__ = call.__qualname__ = one.name
        return call
