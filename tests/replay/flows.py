"""The app whose histories are recorded: the shipped flows, and one for each thing a call can do.

A recorded history is replayed for ever. So a flow here is never changed: a new one gets a new name.
"""

from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from durabletask.task import RetryPolicy
from pydantic import BaseModel, Field

from agents import content, translation
from durable_agents import (
    Agent,
    AgentBlueprint,
    AgentFunctionApp,
    ApprovalPolicy,
    ChatModel,
    ModelRejected,
    ToolError,
    tool,
)
from orchestrations import content_pipeline
from orchestrations import translation as translation_flow

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "people": {"type": "integer"}},
    "required": ["name", "people"],
}


class City(BaseModel):
    name: str
    people: int = Field(ge=1)


def create_app(
    chat_client: ChatModel,
    *,
    city: type[BaseModel] = City,
    retry: RetryPolicy | None = None,
    **agent: Any,
) -> AgentFunctionApp:
    """Return the app; the other arguments are what a later version of its code has changed."""
    agents = [Agent(name=name, **{"instructions": f"You are {name}.", **agent}) for name in NAMES]
    ada, bob = agents
    clerk = Agent(
        name="Clerk",
        **{"instructions": "You are Clerk.", **agent},
        tools=[stock, order, ada.as_tool(description="Knows everything.")],
        handoffs=[bob],
        approvals=ApprovalPolicy(timeout=timedelta(seconds=1)),
    )
    app = AgentFunctionApp(
        [*translation.AGENTS, *content.AGENTS, *agents, clerk], chat_client=chat_client, retry=retry
    )
    app.register_functions(translation_flow.flows)
    app.register_functions(content_pipeline.flows)
    app.register_functions(_flows(city))
    app.register_functions(_flows_with_tools(city))
    return app


NAMES = ("Ada", "Bob")


@tool
def stock(item: str) -> int:
    """How many of an item there are."""
    if item == "air":
        raise ToolError("there is no end of it")
    return len(item)


@tool(approval="always")
def order(item: str, count: int = 1) -> str:
    """Order some."""
    return f"{count} {item}"


def _flows(city: type[BaseModel]) -> AgentBlueprint:
    flows = AgentBlueprint()

    @flows.orchestration_trigger(context_name="context")
    def structured(context: df.DurableOrchestrationContext) -> Any:
        ada = flows.get_agent(context, "Ada")
        response = yield ada.run(context.get_input(), response_format=city)
        yield context.wait_for_external_event("go")
        told = yield flows.get_agent(context, "Bob").run(f"Describe {response.value.name}.")
        return [response.value.name, response.usage.total_tokens, told.text]

    @flows.orchestration_trigger(context_name="context")
    def by_schema(context: df.DurableOrchestrationContext) -> Any:
        ada = flows.get_agent(context, "Ada")
        response = yield ada.run(context.get_input(), response_format=SCHEMA)
        return response.value

    @flows.orchestration_trigger(context_name="context")
    def retried(context: df.DurableOrchestrationContext) -> Any:
        first = yield flows.get_agent(context, "Ada").run(context.get_input())
        second = yield flows.get_agent(context, "Bob").run(first.text)
        return second.text

    @flows.orchestration_trigger(context_name="context")
    def fallen_back(context: df.DurableOrchestrationContext) -> Any:
        try:
            answer = yield flows.get_agent(context, "Ada").run(context.get_input())
        except ModelRejected as error:
            answer = yield flows.get_agent(context, "Bob").run(f"{error.agent}: {error.cause}")
        return answer.text

    @flows.orchestration_trigger(context_name="context")
    def never_fits(context: df.DurableOrchestrationContext) -> Any:
        ada = flows.get_agent(context, "Ada")
        response = yield ada.run(context.get_input(), response_format=city)
        return response.value.name

    @flows.orchestration_trigger(context_name="context")
    def swapped(context: df.DurableOrchestrationContext) -> Any:
        # Recorded when Bob was asked first: its history must not replay.
        for name in ("Ada", "Bob"):
            yield flows.get_agent(context, name).run(context.get_input())

    @flows.orchestration_trigger(context_name="context")
    def timed(context: df.DurableOrchestrationContext) -> Any:
        answer = yield flows.get_agent(context, "Ada").run(context.get_input(), timeout=1)
        yield context.wait_for_external_event("go")
        return answer.text

    return flows


def _flows_with_tools(city: type[BaseModel]) -> AgentBlueprint:
    flows = AgentBlueprint()

    @flows.orchestration_trigger(context_name="context")
    def with_tools(context: df.DurableOrchestrationContext) -> Any:
        clerk = flows.get_agent(context, "Clerk")
        answer = yield clerk.run(context.get_input(), response_format=city)
        return [answer.value.name, answer.usage.total_tokens]

    return flows
