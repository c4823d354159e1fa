"""The functions that agents become, in one list: a Functions app and a plain worker register these.

Each is known to the scheduler by its name. An activity takes one input; some take the settings of
a durable client besides, as `durable_clients` reads them.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from durabletask.task import OrchestrationContext

from durable_agents.agent import Agent
from durable_agents.call import CALL_FUNCTION, AgentCall, CallPlan, as_result
from durable_agents.errors import AgentCallFailed
from durable_agents.failure_text import to_text
from durable_agents.messages import AgentResponse, CallPolicy, TimedCall
from durable_agents.people import ANSWER_FUNCTION, ENTITY_NAME, HumanRequestEntity, answer_request
from durable_agents.registry import Registry
from durable_agents.run import run_orchestrator
from durable_agents.run_rules import RULES_FUNCTION, rules_activity
from durable_agents.session_turns import ENDED_FUNCTION, instance_ended
from durable_agents.sessions import session_entity

BUILT_IN_NAMES = (CALL_FUNCTION, ANSWER_FUNCTION, ENDED_FUNCTION, RULES_FUNCTION, ENTITY_NAME)


@dataclass(frozen=True)
class DurableFunction:
    """A function to register.

    Attributes:
        name: Its name.
        kind: What it is.
        body: The function, or the class of an entity. Orchestrators take the SDK's context and
            their input. Activities are coroutine functions.
        client: Whether an activity takes the settings of a durable client, by the name `client`.
    """

    name: str
    kind: Literal["activity", "orchestrator", "entity"]
    body: Callable[..., Any]
    client: bool = False


def built_in_functions(registry: Registry) -> tuple[DurableFunction, ...]:
    """Return the functions that are there whatever the agents are."""
    return (
        DurableFunction(CALL_FUNCTION, "orchestrator", _timed_call(registry)),
        DurableFunction(ANSWER_FUNCTION, "orchestrator", answer_request),
        DurableFunction(ENTITY_NAME, "entity", HumanRequestEntity),
        DurableFunction(ENDED_FUNCTION, "activity", instance_ended, client=True),
        DurableFunction(RULES_FUNCTION, "activity", rules_activity(registry)),
    )


def functions_of_agent(registry: Registry, agent: Agent) -> list[DurableFunction]:
    """Add an agent to a registry, and return the functions that are new with it.

    They are its activity, named like the agent, its runs (`run-<agent>`), its sessions and its
    tools, and those of the agents that it may ask or hand over to.

    Raises:
        InvalidAgent: A name is taken, or there is no model for an agent.
    """
    agents, tools = registry.add(agent)
    functions: list[DurableFunction] = []
    for one in agents:
        run = run_orchestrator(registry, one.run_name)
        entity = session_entity(one.name, one.agent.sessions)
        functions += [
            DurableFunction(one.name, "activity", one.activity, client=True),
            DurableFunction(one.run_name, "orchestrator", run),
            DurableFunction(one.session_name, "entity", entity),
        ]
    for one in tools:
        activity = registry.tool_activity(one.activity)
        assert activity is not None
        functions.append(DurableFunction(one.activity, "activity", activity))
    return functions


def _timed_call(registry: Registry) -> Callable[..., Any]:
    """Return the orchestrator of calls with a time limit."""

    def call_agent(
        context: OrchestrationContext, given: Any
    ) -> Generator[Any, Any, dict[str, Any]]:
        call = TimedCall.model_validate(given)
        try:
            response: AgentResponse = yield _call(context, registry, call)
        except AgentCallFailed as error:
            # As in an activity: what str() gives is all that crosses the boundary.
            error.args = (to_text(error),)
            raise
        return as_result(response)

    # A plain worker registers it by this name.
    call_agent.__name__ = call_agent.__qualname__ = CALL_FUNCTION
    return call_agent


def _call(context: OrchestrationContext, registry: Registry, call: TimedCall) -> AgentCall:
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
