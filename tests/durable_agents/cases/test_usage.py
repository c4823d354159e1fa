"""Tokens, counted once: cached ones are part of the input, failures count, no count is no zero."""

from typing import Any

import pytest
from pydantic import BaseModel

from durable_agents import Agent, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import in_turn, only_run, run_input
from tests.durable_agents.scripted_model import DROP, ScriptedModel, calls, fails, says


class N(BaseModel):
    n: int


@tool
def stock(item: str) -> int:
    """Look into the stock."""
    return 7


CALL = calls(
    ("c", "stock", '{"item": "bolt"}'),
    usage={
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 800},
        "completion_tokens_details": {"reasoning_tokens": 64},
    },
)
WRONG = says(
    "seven",
    usage={
        "prompt_tokens": 1200,
        "completion_tokens": 50,
        "total_tokens": 1250,
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    },
)
FINAL = says('{"n": 7}', usage=None)
ADA = Agent(name="Ada", tools=(stock,), response_format=N)
FIGURES = {
    "input_tokens": 2200,
    "cached_tokens": 800,
    "output_tokens": 150,
    "reasoning_tokens": 64,
    "total_tokens": 2350,
    "uncounted_calls": 1,
    "repeated_calls": 0,
}


async def test_figures_of_all_requests_of_a_run_are_added_up(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 37, without prices and budgets."""
    model.will(CALL, WRONG, FINAL)
    async with hosting(ADA) as host:
        answer = await host.answered()
        assert only_run(host).custom_status["tokens"] == 2350
    assert answer["usage"] == FIGURES


async def test_session_keeps_the_same_figures(hosting: Hosting, model: ScriptedModel) -> None:
    """Case 37."""
    model.will(CALL, WRONG, FINAL)
    async with hosting(ADA) as host:
        await host.answered(session_id="s")
        history = (await host.request("GET", "/api/agents/Ada/sessions/s")).json()
    assert history["turns"][0]["usage"] == FIGURES


async def test_kill_between_reply_and_counting_neither_loses_nor_doubles_a_figure(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 37."""
    model.respond = in_turn(CALL, WRONG, FINAL)
    async with hosting(ADA) as host:
        await host.answered()
        steps = host.steps
    for step in range(1, steps):
        async with hosting(ADA, kill_after=step) as host:
            usage = (await host.run("run-Ada", run_input(N))).output["usage"]
        assert usage == {name: count for name, count in FIGURES.items() if count}


async def test_answer_that_was_cut_off_is_counted_though_the_call_failed(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 37."""
    usage = {"prompt_tokens": 500, "completion_tokens": 500, "total_tokens": 1000}
    model.will(says("Half an ans", finish="length", usage=usage))
    async with hosting(Agent(name="Ada")) as host:
        problem = await host.problem()
    assert problem["code"] == "InvalidAgentOutput"
    assert problem["usage"]["total_tokens"] == 1000
    assert len(model.requests) == 1


async def test_cut_off_answer_counts_on_top_of_what_was_used_before(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 37: a failure after a tool turn has both in its usage."""
    usage = {"prompt_tokens": 500, "completion_tokens": 500, "total_tokens": 1000}
    model.will(CALL, says("Half", finish="length", usage=usage))
    async with hosting(ADA) as host:
        problem = await host.problem()
    assert problem["usage"]["total_tokens"] == 2100
    assert problem["usage"]["input_tokens"] == 1500


async def test_failed_attempts_without_an_answer_count_nothing(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Of the kind of case 37: what no server has counted is not made up."""
    model.will(fails(500), DROP, says("fine", usage={"prompt_tokens": 3, "completion_tokens": 4}))
    async with hosting(Agent(name="Ada")) as host:
        usage = (await host.answered())["usage"]
    assert (usage["total_tokens"], usage["uncounted_calls"]) == (7, 0)


async def test_empty_answers_that_were_asked_again_count(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Of the kind of case 37: an answer that was thrown away was paid for all the same."""
    model.will(says(""), says(None), says("fine"))
    async with hosting(Agent(name="Ada")) as host:
        usage = (await host.answered())["usage"]
    assert usage["total_tokens"] == 3 * 18


async def test_agent_asked_as_a_tool_counts_in_the_run_that_asked_it(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Of the kind of case 37."""
    bob = Agent(name="Bob", description="knows prices", tools=(stock,))
    model.will(calls(("b", "Bob", '{"message": "Price?"}')), says("Seven."), says("It is seven."))
    async with hosting(Agent(name="Ada", tools=(bob.as_tool(),))) as host:
        answer = await host.answered()
    assert answer["response"] == "It is seven."
    assert answer["usage"]["total_tokens"] == 3 * 18


async def test_agent_asked_as_a_tool_that_fails_counts_as_well(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Of the kind of case 37."""
    bob = Agent(name="Bob", description="knows prices")
    model.will(
        calls(("b", "Bob", '{"message": "Price?"}')), says("Sev", finish="length"), says("Sorry.")
    )
    async with hosting(Agent(name="Ada", tools=(bob.as_tool(),))) as host:
        answer = await host.answered()
    assert answer["usage"]["total_tokens"] == 3 * 18
    assert "InvalidAgentOutput" in model.requests[2].message


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"prompt_tokens": None, "completion_tokens": None},
        {"prompt_tokens": "many"},
        {"prompt_tokens": -5, "completion_tokens": -5},
        {"prompt_tokens": True, "completion_tokens": 1e300},
        {"prompt_tokens": 10**30},
    ],
)
async def test_count_that_is_none_is_marked_and_never_zero_in_silence(
    hosting: Hosting, model: ScriptedModel, usage: dict[str, Any]
) -> None:
    """Of the kind of case 37: no usage is not zero usage."""
    model.will(says("fine", usage=usage))
    async with hosting(Agent(name="Ada")) as host:
        counted = (await host.answered())["usage"]
    assert (counted["total_tokens"], counted["uncounted_calls"]) == (0, 1)
