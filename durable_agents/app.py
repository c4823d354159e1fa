"""The function app: turns agents into functions, and gives orchestrators a way to call them."""

import os
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.functions.decorators.function_app import FunctionBuilder
from durabletask.payload import PayloadStore
from durabletask.task import RetryPolicy

from durable_agents.agent import Agent
from durable_agents.call import CALL_FUNCTION, AgentCall, AnyContext, CallPlan, as_result
from durable_agents.errors import AgentCallFailed, AgentNotRegistered
from durable_agents.failure_text import to_text
from durable_agents.handle import DurableAgent
from durable_agents.http.routes import NAMES as HTTP_NAMES
from durable_agents.http.routes import AgentRoutes
from durable_agents.messages import AgentResponse, CallPolicy, TimedCall
from durable_agents.model import ChatModel
from durable_agents.people import ANSWER_FUNCTION, ENTITY_NAME, HumanRequestEntity, answer_request
from durable_agents.registry import Registry
from durable_agents.retry import default_retry_policy
from durable_agents.run import run_orchestrator
from durable_agents.session_turns import ENDED_FUNCTION, instance_ended
from durable_agents.sessions import session_entity


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
            reserved=(CALL_FUNCTION, ANSWER_FUNCTION, ENDED_FUNCTION, ENTITY_NAME, *HTTP_NAMES),
            payload_store=payload_store,
        )
        self._add_built_ins()
        if http_routes:
            AgentRoutes(self._registry).register(self)
        for agent in agents:
            self.add_agent(agent)

    def _add_built_ins(self) -> None:
        self.function_name(CALL_FUNCTION)(
            self.orchestration_trigger("context", CALL_FUNCTION)(_timed_call(self._registry))
        )
        self.function_name(ANSWER_FUNCTION)(
            self.orchestration_trigger("context", ANSWER_FUNCTION)(answer_request)
        )
        self.function_name(ENTITY_NAME)(
            self.entity_trigger("context", ENTITY_NAME)(HumanRequestEntity)
        )
        self._add_activity(ENDED_FUNCTION, instance_ended)

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
        agents, tools = self._registry.add(agent)
        for one in agents:
            self._add_activity(one.name, one.activity)
            self.orchestration_trigger("context", one.run_name)(
                run_orchestrator(self._registry, one.run_name)
            )
            self.entity_trigger("context", one.session_name)(
                session_entity(one.name, one.agent.sessions)
            )
        for one in tools:
            activity = self._registry.tool_activity(one.activity)
            assert activity is not None
            self.activity_trigger(input_name="request", activity=one.activity)(activity)

    def _add_activity(self, name: str, activity: Callable[..., Any]) -> None:
        # The client's settings alone, a text: see durable_clients.
        bound = self.activity_trigger(input_name="request", activity=name)(activity)
        bind: Callable[..., Any] = self.generic_input_binding  # pyright: ignore
        bind("client", "durableClient")(bound)

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

    # The base class has this second name for the same function.
    register_blueprint = register_functions


def _timed_call(registry: Registry) -> Callable[[Any], Generator[Any, Any, dict[str, Any]]]:
    """Return the orchestrator of calls with a time limit."""

    def call_agent(
        context: df.DurableOrchestrationContext,
    ) -> Generator[Any, Any, dict[str, Any]]:
        call = TimedCall.model_validate(context.get_input())
        try:
            response: AgentResponse = yield _call(context, registry, call)
        except AgentCallFailed as error:
            # As in an activity: what str() gives is all that crosses the boundary.
            error.args = (to_text(error),)
            raise
        return as_result(response)

    return call_agent


def _call(context: AnyContext, registry: Registry, call: TimedCall) -> AgentCall:
    registered = registry.get(call.agent)
    plan = CallPlan(
        agent=call.agent,
        model=registered.model.model,
        activity=registered.activity,
        request=call.request,
        policy=call.request.policy or CallPolicy(),
        timeout=timedelta(seconds=call.timeout),
        recorded=True,  # the flow makes the value: it has the class
    )
    return AgentCall(context, plan, datetime.fromisoformat(call.deadline))
