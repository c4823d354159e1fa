"""Agents that agents ask as tools: runs of their own, bounded, ended with the one that asked."""

import pytest

from durable_agents import Agent, RunLimits, ToolContext, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, told
from tests.durable_agents.scripted_model import ScriptedModel, calls, fails, says

ASK_BOB = ("b", "Bob", '{"message": "What is the price?"}')


def pair(effects: Effects, **bob: object) -> Agent:
    @tool
    def look(context: ToolContext) -> str:
        effects.add("look", context)
        return "7"

    helper = Agent(name="Bob", instructions="You are Bob.", tools=(look,), **bob)  # type: ignore[arg-type]
    return Agent(name="Ada", instructions="You are Ada.", tools=(helper.as_tool(),))


async def test_agent_that_is_asked_has_a_conversation_of_its_own(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    model.will(calls(ASK_BOB), calls(("c", "look", "{}")), says("It is 7."), says("Seven."))
    async with hosting(pair(effects)) as host:
        answer = await host.answered(message="The secret question.")
        parent, child = host.runs
        assert (child.name, child.parent_id) == ("run-Bob", parent.id)
    assert answer["response"] == "Seven."
    assert told(model.requests[3]) == "It is 7."
    asked = str(model.requests[1].body["messages"])
    assert "What is the price?" in asked
    assert "secret question" not in asked
    assert effects.lines == ["look"]


async def test_agent_asked_twice_in_one_reply_answers_each_by_itself(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 05: the calls have one id."""
    twice = [("x", "Bob", '{"message": "One?"}'), ("x", "Bob", '{"message": "Two?"}')]

    def respond(request: object) -> object:
        messages = request.body["messages"]  # type: ignore[attr-defined]
        if messages[0]["content"] == "You are Bob.":
            return says(f"answer to {messages[-1]['content']}")
        return says("done") if messages[-1]["role"] == "tool" else calls(*twice)

    model.respond = respond  # type: ignore[assignment]
    async with hosting(pair(effects)) as host:
        assert (await host.answered())["response"] == "done"
        assert len({run.id for run in host.runs}) == 3
    results = [one for one in model.requests[-1].body["messages"] if one["role"] == "tool"]
    assert [one["content"] for one in results] == ["answer to One?", "answer to Two?"]


async def test_agent_that_fails_is_told_to_the_one_that_asked(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    model.will(calls(ASK_BOB), fails(400, "bad"), says("Nobody knows."))
    async with hosting(pair(effects)) as host:
        assert (await host.answered())["response"] == "Nobody knows."
    assert "ModelRejected" in told(model.requests[2])


@pytest.mark.parametrize("arguments", ["{}", "", '{"message": ""}', '{"message": 7}', "[]", '{"m'])
async def test_agent_that_is_asked_nothing_is_not_run(
    hosting: Hosting, model: ScriptedModel, effects: Effects, arguments: str
) -> None:
    """Of the kind of case 01."""
    model.will(calls(("b", "Bob", arguments)), says("Hm."))
    async with hosting(pair(effects)) as host:
        await host.answered()
        assert len(host.runs) == 1
    assert "message" in told(model.requests[1])


async def test_cancelled_run_cancels_those_it_has_asked(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    model.will(calls(ASK_BOB), calls(("c", "look", "{}")), says("never"))
    async with hosting(pair(effects)) as host:
        host.hold("look")
        run = (await host.ask(wait_for_response=False)).json()["correlation_id"]
        await host.request("DELETE", f"/api/agents/Ada/runs/{run}")
        await host.settle()
        parent, child = host.runs
        assert parent.failure is not None
        assert child.failure is not None
        assert (parent.failure.type, child.failure.type) == ("AgentCancelled", "AgentCancelled")
        await host.release()
    assert len(model.requests) == 2
    assert effects.lines == []


async def test_time_limit_reaches_those_that_are_asked(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    model.will(calls(ASK_BOB), calls(("c", "look", "{}")), says("never"))
    async with hosting(pair(effects)) as host:
        host.takes("look", 3600)
        problem = await host.problem(timeout=30)
        assert problem["code"] == "AgentTimeout"
        assert all(run.has_ended and run.elapsed.total_seconds() <= 30 for run in host.runs)
    assert len(model.requests) == 2


async def test_agents_that_ask_one_another_end_at_the_depth_limit(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    agent = Agent(name="A9")
    for depth in range(8, -1, -1):
        agent = Agent(name=f"A{depth}", tools=(agent.as_tool(name="deeper"),))
    model.will(*[calls(("d", "deeper", '{"message": "Deeper!"}'))] * 6, says("Enough."))
    async with hosting(agent) as host:
        assert (await host.answered("A0"))["response"] == "Enough."
        assert len(host.runs) == 6
    assert any("deep already" in str(request.body) for request in model.requests)


async def test_limits_of_the_agent_that_is_asked_are_its_own(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    ada = pair(effects, limits=RunLimits(turns=1))
    model.will(calls(ASK_BOB), calls(("c", "look", "{}")), says("Nobody knows."))
    async with hosting(ada) as host:
        await host.answered()
    assert "MaxTurnsExceeded" in told(model.requests[2])


async def test_call_of_an_agent_that_is_asked_is_approved_by_http(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 19: a person is asked by a run inside of another."""

    @tool(approval="always")
    def wire(to: str, context: ToolContext) -> str:
        effects.add(f"wire {to}", context)
        return "wired"

    bob = Agent(name="Bob", tools=(wire,))
    model.will(
        calls(ASK_BOB), calls(("c", "wire", '{"to": "Bo"}')), says("It is sent."), says("Sent.")
    )
    async with hosting(Agent(name="Ada", tools=(bob.as_tool(),))) as host:
        run = (await host.ask(wait_for_response=False)).json()["correlation_id"]
        (asked,) = (await host.request("GET", "/api/approvals")).json()["approvals"]
        assert (asked["agent"], asked["instance_id"] == run) == ("Bob", False)
        place = f"/api/approvals/{asked['instance_id']}/{asked['request_id']}"
        edited = {"approved": True, "arguments": {"to": "Jo"}}
        assert (await host.request("POST", place, json=edited)).status == 200
        ended = await host.request("GET", f"/api/agents/Ada/runs/{run}?wait_seconds=1")
    assert ended.json()["response"] == "Sent."
    assert effects.lines == ["wire Jo"]
