"""The function app: turns agents into activities, and gives orchestrators a way to call them."""

import os
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.functions.decorators.function_app import FunctionBuilder
from durabletask.payload import PayloadStore
from durabletask.task import RetryPolicy, Task
from pydantic import JsonValue, ValidationError

from durable_agents.activities import AgentActivity, agent_activity
from durable_agents.agent import RESERVED_OPTIONS, Agent, ChatClient
from durable_agents.agent_call import CALL_FUNCTION, AgentCall, AnyContext, CallPlan, start_call
from durable_agents.errors import AgentCallFailed, AgentNotRegistered, InvalidAgent, InvalidInput
from durable_agents.failure_text import to_text
from durable_agents.messages import AgentResponse, CallPolicy, ModelRequest, TimedCall
from durable_agents.retry import call_policy, default_retry_policy
from durable_agents.structured_output import OutputFormat, ResponseFormat


@dataclass(frozen=True)
class _Registered:
    agent: Agent
    model: str
    activity: AgentActivity


class DurableAgent:
    """An agent inside one orchestration. Get it from `get_agent`."""

    def __init__(self, context: AnyContext, registered: _Registered, retry: RetryPolicy) -> None:
        self._context = context
        self._registered = registered
        self._retry = retry

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._registered.agent.name

    def run(
        self,
        message: str,
        *,
        response_format: ResponseFormat | None = None,
        options: Mapping[str, JsonValue] | None = None,
        timeout: timedelta | float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Task[AgentResponse]:
        """Call the agent: yield the task, or hand it to `context.task_all` or `task_any`.

        Every call stands alone: the agent knows nothing of earlier ones.

        Args:
            message: What the agent is told or asked.
            response_format: A pydantic class or JSON schema that the answer must fit; it is then
                in the response's `value`. An answer that does not fit is asked for again.
            options: Fields of the model request, over those of the agent.
            timeout: The longest time for the whole call, retries included (seconds or timedelta).
            retry: The policy for this call, in place of the agent's or the app's. It says how
                often; which failures are worth it is decided by their type.

        Raises:
            InvalidInput: At once, when an argument cannot be used.
            AgentCallFailed: From the task, when the call comes to nothing.
        """
        _require_text(message, self.name)
        output = OutputFormat.create(response_format) if response_format is not None else None
        plan = CallPlan(
            agent=self.name,
            model=self._registered.model,
            activity=self._registered.activity,
            request=self._request(message, output, options or {}),
            policy=call_policy(retry or self._retry, self._registered.agent.corrections),
            output=output,
            timeout=self._duration(timeout),
        )
        return start_call(self._context, plan)

    def _request(
        self, message: str, output: OutputFormat | None, options: Mapping[str, JsonValue]
    ) -> ModelRequest:
        if reserved := RESERVED_OPTIONS & set(options):
            raise InvalidInput(f"agent '{self.name}': '{min(reserved)}' is not an option.")
        try:
            return ModelRequest(
                message=message, output=output.schema if output else None, options=dict(options)
            )
        except ValidationError as error:
            raise InvalidInput(
                f"agent '{self.name}': the options are not JSON data ({error.error_count()} wrong)."
            ) from None

    def _duration(self, timeout: timedelta | float | None) -> timedelta | None:
        if timeout is None:
            return None
        now = self._context.current_utc_datetime
        try:
            duration = timeout if isinstance(timeout, timedelta) else timedelta(seconds=timeout)
            end = now + duration
        except (ValueError, OverflowError):
            raise InvalidInput(f"agent '{self.name}': the timeout {timeout} is no time.") from None
        if end <= now:
            raise InvalidInput(f"agent '{self.name}': a timeout must be longer than nothing.")
        return duration


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
        self._registry: _Registry | None = None

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
        return self._registry.get(context, name)

    def use(self, registry: "_Registry") -> None:
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

    Raises:
        InvalidAgent: Two agents have one name, or one has no model; the message names it.
    """

    def __init__(
        self,
        agents: Iterable[Agent] = (),
        *,
        chat_client: ChatClient | None = None,
        retry: RetryPolicy | None = None,
        payload_store: PayloadStore | None = None,
        http_auth_level: func.AuthLevel | str = func.AuthLevel.FUNCTION,
    ) -> None:
        super().__init__(http_auth_level=http_auth_level)
        if payload_store is not None:
            self.configure_large_payloads(payload_store=payload_store)
        self._chat_client = chat_client
        self._registry = _Registry(retry or default_retry_policy(os.environ))
        self.function_name(CALL_FUNCTION)(
            self.orchestration_trigger("context", CALL_FUNCTION)(_timed_call(self._registry))
        )
        for agent in agents:
            self.add_agent(agent)

    @property
    def agents(self) -> Mapping[str, Agent]:
        """The registered agents, by name."""
        return MappingProxyType(self._registry.agents)

    def add_agent(self, agent: Agent) -> None:
        """Register an agent: its activity becomes a function of the app, named like the agent.

        Raises:
            InvalidAgent: The name is taken, or there is no model for the agent.
        """
        chat_client = agent.chat_client or self._chat_client
        if chat_client is None:
            raise InvalidAgent(
                f"agent '{agent.name}' has no model: give it a chat_client, or give one to the app."
            )
        activity = self._registry.add(agent, chat_client)
        self.activity_trigger(input_name="request", activity=agent.name)(activity)

    def get_agent(self, context: AnyContext, name: str) -> DurableAgent:
        """Return the agent `name`, to be called in the orchestration of `context`.

        Raises:
            AgentNotRegistered: There is no such agent; the message lists those there are.
        """
        return self._registry.get(context, name)

    def register_functions(self, function_container: Any) -> None:
        """Register the functions of a blueprint, and let its flows call this app's agents."""
        super().register_functions(function_container)
        if isinstance(function_container, AgentBlueprint):
            function_container.use(self._registry)

    # The base class has this second name for the same function.
    register_blueprint = register_functions


class _Registry:
    def __init__(self, retry: RetryPolicy) -> None:
        self._registered: dict[str, _Registered] = {}
        self._retry = retry

    @property
    def agents(self) -> dict[str, Agent]:
        return {name: registered.agent for name, registered in self._registered.items()}

    def add(self, agent: Agent, chat_client: ChatClient) -> AgentActivity:
        # The Functions host does not tell apart names that differ in case only.
        for name in [CALL_FUNCTION, *self._registered]:
            if name.casefold() == agent.name.casefold():
                raise InvalidAgent(
                    f"agent '{agent.name}': an agent named '{name}' is already registered."
                )
        activity = agent_activity(agent, chat_client)
        self._registered[agent.name] = _Registered(agent, chat_client.model, activity)
        return activity

    def get(self, context: AnyContext, name: str) -> DurableAgent:
        registered = self._registered.get(name)
        if registered is None:
            known = ", ".join(sorted(self._registered)) or "none"
            raise AgentNotRegistered(f"no agent is named '{name}'; registered: {known}.")
        return DurableAgent(context, registered, registered.agent.retry or self._retry)

    def timed_call(self, context: AnyContext, call: TimedCall) -> AgentCall:
        registered = self._registered.get(call.agent)
        if registered is None:
            raise AgentNotRegistered(f"no agent is named '{call.agent}' any more.")
        plan = CallPlan(
            agent=call.agent,
            model=registered.model,
            activity=registered.activity,
            request=call.request,
            policy=call.request.policy or CallPolicy(),
            output=None,  # the flow makes the value: it has the class
            timeout=timedelta(seconds=call.timeout),
        )
        return AgentCall(context, plan, datetime.fromisoformat(call.deadline))


def _timed_call(registry: _Registry) -> Callable[[Any], Generator[Any, Any, dict[str, Any]]]:
    """Return the orchestrator of calls with a time limit."""

    def call_agent(
        context: df.DurableOrchestrationContext,
    ) -> Generator[Any, Any, dict[str, Any]]:
        call = TimedCall.model_validate(context.get_input())
        try:
            response: AgentResponse = yield registry.timed_call(context, call)
        except AgentCallFailed as error:
            # As in an activity: what str() gives is all that crosses the boundary.
            error.args = (to_text(error),)
            raise
        return response.to_json()

    return call_agent


def _require_text(message: object, agent: str) -> None:
    # A flow's input ends up here, and may be anything.
    if not isinstance(message, str) or not message.strip():
        what = "an empty text" if isinstance(message, str) else type(message).__name__
        raise InvalidInput(f"agent '{agent}' was given {what}; the message must be a text.")
    try:
        message.encode()
    except UnicodeEncodeError:
        # JSON may hold half of a surrogate pair; no request to a model can.
        raise InvalidInput(f"agent '{agent}' was given a text that is not Unicode.") from None
