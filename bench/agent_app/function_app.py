"""Agents with a model that takes no time, beside bare activities in the same shapes."""

import asyncio

import azure.durable_functions as df
import azure.functions as func

from durable_agents import Agent, AgentFunctionApp, ChatRequest, ModelReply, TokenUsage
from durable_agents.messages import ToolCall

CALLS = (2, 3)  # tools that a loop asks for in each of its turns but the last
USAGE = TokenUsage(input_tokens=40, output_tokens=10, total_tokens=50)


class Model:
    """Takes as many milliseconds as it is told, and asks for tools where there are some."""

    model = "bench-1"

    async def complete(self, request: ChatRequest) -> ModelReply:
        if milliseconds := int(request.messages[1].text):
            await asyncio.sleep(milliseconds / 1000)
        turn = sum(message.role == "assistant" for message in request.messages)
        if request.tools and turn < len(CALLS):
            ids = range(CALLS[turn])
            calls = tuple(
                ToolCall(id=f"c{turn}{n}", name="look", arguments='{"n": 1}') for n in ids
            )
            return ModelReply(calls=calls, usage=USAGE, model=self.model)
        return ModelReply(text="It is done.", usage=USAGE, model=self.model)


async def look(n: int) -> str:
    """Look something up."""
    return "found"


app = AgentFunctionApp(
    [
        Agent(name="Plain", instructions="Answer in one sentence."),
        Agent(name="Looper", instructions="Look things up, then answer.", tools=[look]),
    ],
    chat_client=Model(),
    http_auth_level=func.AuthLevel.ANONYMOUS,
)


@app.activity_trigger(input_name="milliseconds")
async def step(milliseconds: int) -> int:
    """Take some time, or none: a coroutine function, as an agent's activity is."""
    if milliseconds:
        await asyncio.sleep(milliseconds / 1000)
    return milliseconds


@app.orchestration_trigger(context_name="context")
def fan_out(context: df.DurableOrchestrationContext):
    """One step, then `width` steps at the same time."""
    width, milliseconds = context.get_input()
    yield context.call_activity("step", milliseconds)
    steps = [context.call_activity("step", milliseconds) for _ in range(width)]
    return len((yield context.task_all(steps)))


@app.orchestration_trigger(context_name="context")
def agent_fan_out(context: df.DurableOrchestrationContext):
    """The same with calls of an agent."""
    width, milliseconds = context.get_input()
    agent, message = app.get_agent(context, "Plain"), str(milliseconds)
    yield agent.run(message)
    return len((yield context.task_all([agent.run(message) for _ in range(width)])))


@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    """Steps one after the other."""
    for _ in range(context.get_input()):
        yield context.call_activity("step", 0)


@app.orchestration_trigger(context_name="context")
def agent_chain(context: df.DurableOrchestrationContext):
    """Calls of an agent, one after the other."""
    agent = app.get_agent(context, "Plain")
    for _ in range(context.get_input()):
        yield agent.run("0")


@app.orchestration_trigger(context_name="context")
def loops(context: df.DurableOrchestrationContext):
    """Hand-written loops of three steps with two and three steps between, one after the other."""
    for _ in range(context.get_input()):
        yield context.call_sub_orchestrator("loop")


@app.orchestration_trigger(context_name="context")
def loop(context: df.DurableOrchestrationContext):
    """One of them."""
    for width in CALLS:
        yield context.call_activity("step", 0)
        yield context.task_all([context.call_activity("step", 0) for _ in range(width)])
    yield context.call_activity("step", 0)


@app.orchestration_trigger(context_name="context")
def agent_loops(context: df.DurableOrchestrationContext):
    """Runs of an agent that takes three turns and five tools, one after the other."""
    agent = app.get_agent(context, "Looper")
    for _ in range(context.get_input()):
        yield agent.run("0")
