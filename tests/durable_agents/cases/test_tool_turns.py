"""Turns with tools: none of them is the answer, and no failure after one repeats it."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from durable_agents import (
    Agent,
    AgentFunctionApp,
    OpenAIChatClient,
    ToolContext,
    ToolError,
    tool,
)
from durable_agents.testing import DurableTest
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, in_turn, only_run, roles, run_input
from tests.durable_agents.scripted_model import DROP, ScriptedModel, calls, fails, says


class N(BaseModel):
    n: int


BOLT = ("a", "stock", '{"item": "bolt"}')
NUT = ("b", "stock", '{"item": "nut"}')
SCRIPT = (
    calls(BOLT, text="Let me look that up.", finish="stop"),
    calls(NUT, text='{"n": 0}'),
    says("seven"),
    says('{"n": 7}'),
)


@pytest.fixture
def ada(effects: Effects) -> Agent:
    @tool
    def stock(item: str, context: ToolContext) -> int:
        effects.add(item, context)
        return 7

    return Agent(name="Ada", instructions="You are Ada.", tools=(stock,), response_format=N)


async def test_turn_with_calls_is_neither_parsed_nor_corrected_nor_taken(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 13."""
    model.will(*SCRIPT)
    async with hosting(ada) as host:
        answer = await host.answered()
        run = only_run(host)
        assert run.activities == ["Ada", "stock", "Ada", "stock", "Ada", "Ada"]
    assert answer["value"] == {"n": 7}
    assert json.loads(answer["response"]) == {"n": 7}
    assert answer["usage"]["total_tokens"] == 4 * 18
    assert effects.lines == ["bolt", "nut"]
    assert len(model.requests) == 4


async def test_correction_comes_after_both_tool_turns_and_tools_are_still_offered(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    """Case 13."""
    model.will(*SCRIPT)
    async with hosting(ada) as host:
        await host.answered()
    last = model.requests[3]
    assert roles(last) == "suatatau"
    said = [
        message["content"] for message in last.body["messages"] if message["role"] == "assistant"
    ]
    assert said == ["Let me look that up.", '{"n": 0}', "seven"]
    assert "not valid JSON" in last.message
    assert [one["function"]["name"] for one in last.body["tools"]] == ["stock"]
    assert last.body["response_format"]["type"] == "json_schema"


async def test_kill_after_any_step_changes_neither_the_answer_nor_an_effect(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 13."""
    model.respond = in_turn(*SCRIPT)
    async with hosting(ada) as host:
        await host.answered()
        steps = host.steps
    for step in range(1, steps):
        effects.file.unlink()
        async with hosting(ada, kill_after=step) as host:
            answer = await host.result(await host.start("run-Ada", run_input(N)))
        assert json.loads(answer.output["text"]) == {"n": 7}
        assert effects.lines == ["bolt", "nut"]


async def test_correction_may_call_a_tool_first(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 13: the model answers a correction with one more call."""
    model.will(calls(BOLT), says("seven"), calls(NUT), says('{"n": 7}'))
    async with hosting(ada) as host:
        answer = await host.answered()
    assert answer["value"] == {"n": 7}
    assert effects.lines == ["bolt", "nut"]
    assert len(model.requests) == 4


async def test_failures_of_the_model_after_a_tool_do_not_run_the_tool_again(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 31 (a)."""

    @tool
    def charge(card: str) -> str:
        effects.add(f"charge {card}")
        return "charged"

    model.will(calls(("c", "charge", '{"card": "1234"}')), fails(500), DROP, says("paid"))
    async with hosting(Agent(name="Ada", tools=(charge,))) as host:
        assert (await host.answered())["response"] == "paid"
    assert len(model.requests) == 4
    assert effects.lines == ["charge 1234"]
    bodies = [request.body for request in model.requests]
    assert bodies[1] == bodies[2] == bodies[3]


async def test_run_that_fails_after_its_tool_is_a_failure_everywhere(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 31 (a): what was done stays done, and nothing looks like a success."""

    @tool
    def charge(card: str) -> str:
        effects.add("charge")
        return "charged"

    model.will(calls(("c", "charge", '{"card": "1234"}')), fails(500))
    async with hosting(Agent(name="Ada", tools=(charge,))) as host:
        problem = await host.problem()
        assert only_run(host).status == "Failed"
        again = await host.request("GET", f"/api/agents/Ada/runs/{problem['correlation_id']}")
    assert (again.status, again.json()["code"]) == (502, "ModelUnavailable")
    assert effects.lines == ["charge"]
    assert len(model.requests) == 4
    assert problem["usage"]["total_tokens"] == 18


@pytest.mark.parametrize("retriable", [True, False])
async def test_tool_that_says_so_is_tried_again_with_the_same_key(
    hosting: Hosting, model: ScriptedModel, effects: Effects, retriable: bool
) -> None:
    """Of the kind of case 31: attempts of one call share the key, so that a payment is one."""

    @tool(retry=3)
    def charge(context: ToolContext) -> str:
        effects.add(f"attempt {context.attempt}", context)
        raise ToolError("the bank is closed", retriable=retriable)

    model.will(calls(("c", "charge", "{}")), says("later"))
    async with hosting(Agent(name="Ada", tools=(charge,))) as host:
        await host.answered()
    attempts = [1, 2, 3] if retriable else [1]
    assert effects.lines == [f"attempt {n}" for n in attempts]
    assert len(set(effects.keys)) == 1
    assert "the bank is closed" in model.requests[1].message


async def test_words_of_an_exception_are_not_told(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 31: a driver's message may hold a connection string."""

    @tool
    def charge() -> str:
        effects.add("charge")
        raise ConnectionError("Server=bank;Password=hunter2")

    model.will(calls(("c", "charge", "{}")), says("later"))
    async with hosting(Agent(name="Ada", tools=(charge,))) as host:
        await host.answered()
        histories = "".join(str(event) for run in host.runs for event in run.history)
    assert "hunter2" not in model.requests[1].message
    assert "ConnectionError" in model.requests[1].message
    assert "hunter2" not in histories
    assert effects.lines == ["charge"]


async def test_tool_that_is_removed_while_a_run_waits_has_done_what_it_has_done(
    chat_client: OpenAIChatClient, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 31: a deployment repeats nothing, and breaks no history."""

    @tool
    def charge() -> str:
        effects.add("charge")
        return "charged"

    @tool
    def look() -> str:
        return "seen"

    tools: list[Any] = [charge, look]

    def make() -> AgentFunctionApp:
        return AgentFunctionApp([Agent(name="Ada", tools=tuple(tools))], chat_client=chat_client)

    model.will(
        calls(("c", "charge", "{}"), ("d", "look", "{}")),
        calls(("c", "charge", "{}")),
        says("done"),
    )
    async with DurableTest(make) as host:
        host.hold("look")
        run = await host.start("run-Ada", run_input())
        tools.remove(charge)
        host.kill()
        await host.release()
        assert run.output["text"] == "done"
        assert await host.replay() == []
    assert effects.lines == ["charge"]
    assert "no tool named 'charge'" in model.requests[2].message


async def test_call_in_a_reply_that_was_cut_off_is_not_made(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 13: nobody knows what the rest would have been."""
    model.will(calls(BOLT, finish="length"), says('{"n": 7}'))
    async with hosting(ada) as host:
        problem = await host.problem()
    assert problem["code"] == "InvalidAgentOutput"
    assert "cut off" in problem["cause"]
    assert effects.lines == []
    assert len(model.requests) == 1
