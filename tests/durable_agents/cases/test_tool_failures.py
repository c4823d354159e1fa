"""Tools that take too long, raise, or stop the run: told, or raised, and never in the way later."""

import logging
from typing import Any

import pytest

from durable_agents import Agent, ToolContext, ToolError, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, only_run, told
from tests.durable_agents.scripted_model import ScriptedModel, calls, says


async def test_tool_that_takes_too_long_is_told_and_its_late_result_dropped(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    @tool(timeout=5)
    def slow(context: ToolContext) -> str:
        effects.add("slow", context)
        return "too late"

    model.will(calls(("c", "slow", "{}")), says("It took too long."))
    async with hosting(Agent(name="Ada", tools=(slow,))) as host:
        host.takes("slow", 3600)
        assert (await host.answered())["response"] == "It took too long."
        assert only_run(host).elapsed.total_seconds() == 5
        await host.advance(hours=2)
    assert "5 s" in told(model.requests[1])
    assert effects.lines == ["slow"]


async def test_tool_that_is_to_stop_the_run_does_and_the_session_goes_on(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 15: a turn that a tool has ended."""

    @tool(on_error="raise")
    def charge(context: ToolContext) -> str:
        effects.add("charge", context)
        raise ToolError("the card is blocked")

    @tool
    def look(context: ToolContext) -> str:
        effects.add("look", context)
        return "seen"

    model.will(calls(("c", "charge", "{}"), ("d", "look", "{}")), says("hello"))
    async with hosting(Agent(name="Ada", tools=(charge, look))) as host:
        problem = await host.problem(session_id="s")
        assert (problem["code"], problem["status"]) == ("ToolFailed", 502)
        assert "the card is blocked" in problem["cause"]
        assert (await host.answered(message="Again.", session_id="s"))["response"] == "hello"
    assert sorted(effects.lines) == ["charge", "look"]
    assert [one["content"] for one in model.requests[1].body["messages"]].count("Again.") == 1


@pytest.mark.parametrize("raised", [SystemExit(1), RecursionError, MemoryError])
async def test_tool_that_raises_what_ends_programs_is_told(
    hosting: Hosting, model: ScriptedModel, effects: Effects, raised: Any
) -> None:
    @tool
    def exits(context: ToolContext) -> str:
        effects.add("exits", context)
        raise raised

    model.will(calls(("c", "exits", "{}")), says("Hm."))
    async with hosting(Agent(name="Ada", tools=(exits,))) as host:
        assert (await host.answered())["response"] == "Hm."
    assert "failed" in told(model.requests[1])
    assert effects.lines == ["exits"]


async def test_crash_between_a_tools_work_and_its_record_repeats_it_under_the_same_key(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 31: by the key a tool knows that it has done this before."""

    @tool
    def charge(context: ToolContext) -> str:
        if context.idempotency_key in effects.keys:
            return "was charged before"
        effects.add("charge", context)
        return "charged"

    model.will(calls(("c", "charge", "{}")), says("paid"))
    async with hosting(Agent(name="Ada", tools=(charge,))) as host:
        host.lose_result("charge")
        assert (await host.answered())["response"] == "paid"
        assert only_run(host).calls("charge")[0].runs == 2
    assert effects.lines == ["charge"]
    assert told(model.requests[1]) == "was charged before"


async def test_no_log_has_what_was_said_asked_for_or_answered(
    hosting: Hosting, model: ScriptedModel, effects: Effects, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    @tool
    def look(what: str) -> str:
        if len(what) > 1:
            raise ValueError(what)  # a traceback has the line, but not the words
        return "marmalade-result"

    model.will(
        calls(("c", "look", '{"what": "marmalade-argument"}'), text="marmalade-words"),
        calls(("c", "look", '{"what": "x", "marmalade-name": 1}'), ("d", "look", '{"marmalade')),
        calls(("c", "look", '{"what": "y"}')),
        says("marmalade-answer"),
        says("marmalade-answer"),
        says("marmalade-answer"),
    )
    form = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with hosting(Agent(name="Ada", instructions="marmalade-rules", tools=(look,))) as host:
        await host.problem(message="marmalade-question", session_id="s", response_format=form)
    ours = [one for one in caplog.records if one.name.startswith(("durable_agents", "durabletask"))]
    assert ours
    assert "marmalade" not in "\n".join(caplog.handler.format(one) for one in ours)
