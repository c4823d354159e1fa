"""The function app: turns agents into functions, and gives orchestrators a way to call them."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.functions.decorators.function_app import FunctionBuilder
from durabletask.payload import PayloadStore
from durabletask.task import RetryPolicy

from durable_agents.agent import Agent
from durable_agents.call import AnyContext
from durable_agents.errors import AgentNotRegistered
from durable_agents.function_list import (
    BUILT_IN_NAMES,
    DurableFunction,
    built_in_functions,
    functions_of_agent,
)
from durable_agents.handle import DurableAgent
from durable_agents.http.routes import NAMES as HTTP_NAMES
from durable_agents.http.routes import AgentRoutes
from durable_agents.model import ChatModel
from durable_agents.registry import Registry
from durable_agents.retry import default_retry_policy


class _FlowDecorators(df.Blueprint):
    def orchestration_trigger(
        self,
        context_name: str,
        orchestration: str | None = None,
        input_type: type | None = None,
    ) -> Callable[[Callable[..., Any]], FunctionBuilder]:
        """Register an orchestrator, with one argument or with two.

        As in the SDK, which takes both but names only the second kind in its types.
        """
        return super().orchestration_trigger(context_name, orchestration, input_type)


class AgentBlueprint(_FlowDecorators):
    """A blueprint for flows that call agents: those of the app it is registered with."""

    def __init__(self, http_auth_level: func.AuthLevel | str = func.AuthLevel.FUNCTION) -> None:
        super().__init__(http_auth_level=http_auth_level)
        self._registry: Registry | None = None

    def get_agent(self, context: AnyContext, name: str) -> DurableAgent:
        """Return the agent `name`, to be called in the orchestration of `context`.

        Raises:
            AgentNotRegistered: The app has no such agent; the message lists those it has.
        """
        if self._registry is None:
            raise AgentNotRegistered(
                f"agent '{name}' was asked for, but the blueprint is not registered with an "
                "AgentFunctionApp: app.register_functions(blueprint)."
            )
        return DurableAgent(context, self._registry.get(name))

    def use(self, registry: "Registry") -> None:
        """Take agents from `registry`; the app calls this when the blueprint is registered."""
        self._registry = registry


class AgentFunctionApp(_FlowDecorators, df.DFApp):
    """A function app with agents. Every ordinary Functions decorator works on it as well.

    Args:
        agents: The agents to register.
        chat_client: The model of agents that name none.
        retry: How calls are retried; None for three attempts, 5 s apart and doubling.
        payload_store: Where payloads go that are too large for the scheduler; None to store none.
        http_auth_level: Authorization that the app's HTTP functions ask for.
        http_routes: Whether the agents that are registered by name have HTTP routes.

    Raises:
        InvalidAgent: Two agents have one name, or one has no model; the message names it.
    """

    def __init__(
        self,
        agents: Iterable[Agent] = (),
        *,
        chat_client: ChatModel | None = None,
        retry: RetryPolicy | None = None,
        payload_store: PayloadStore | None = None,
        http_auth_level: func.AuthLevel | str = func.AuthLevel.FUNCTION,
        http_routes: bool = True,
    ) -> None:
        super().__init__(http_auth_level=http_auth_level)
        if payload_store is not None:
            self.configure_large_payloads(payload_store=payload_store)
        self._registry = Registry(
            retry or default_retry_policy(os.environ),
            chat_client,
            reserved=(*BUILT_IN_NAMES, *HTTP_NAMES),
            payload_store=payload_store,
        )
        for one in built_in_functions(self._registry):
            self._add(one)
        if http_routes:
            AgentRoutes(self._registry).register(self)
        for agent in agents:
            self.add_agent(agent)

    @property
    def agents(self) -> Mapping[str, Agent]:
        """The registered agents, by name."""
        return {name: one.agent for name, one in self._registry.agents.items() if one.public}

    def add_agent(self, agent: Agent) -> None:
        """Register an agent, and those that it may ask or hand over to.

        Its activity becomes a function of the app, named like the agent, and so do its runs
        (`run-<agent>`) and its tools.

        Raises:
            InvalidAgent: The name is taken, or there is no model for the agent.
        """
        for one in functions_of_agent(self._registry, agent):
            self._add(one)

    def _add(self, one: DurableFunction) -> None:
        trigger: Callable[..., FunctionBuilder]
        match one.kind:
            case "activity":
                trigger = self.activity_trigger(input_name="request", activity=one.name)
            case "orchestrator":
                trigger = self.orchestration_trigger("context", one.name)
            case "entity":
                trigger = self.entity_trigger("context", one.name)
        bound = trigger(one.body)
        if one.client:
            # The client's settings alone, a text: see durable_clients.
            bind: Callable[..., Any] = self.generic_input_binding  # pyright: ignore
            bound = bind("client", "durableClient")(bound)
        self.function_name(one.name)(bound)

    def get_agent(self, context: AnyContext, name: str) -> DurableAgent:
        """Return the agent `name`, to be called in the orchestration of `context`.

        Raises:
            AgentNotRegistered: There is no such agent; the message lists those there are.
        """
        return DurableAgent(context, self._registry.get(name))

    def register_functions(self, function_container: Any) -> None:
        """Register the functions of a blueprint, and let its flows call this app's agents."""
        super().register_functions(function_container)
        if isinstance(function_container, AgentBlueprint):
            function_container.use(self._registry)

    def get_functions(self) -> Any:
        """Return the app's functions; the worker calls this when it indexes them.

        Raises:
            InvalidAgent: An agent may hand over to one that is not registered.
        """
        self._registry.require_complete()
        return super().get_functions()

    # The base class has this second name for the same function.
    register_blueprint = register_functions
