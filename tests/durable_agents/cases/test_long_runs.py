"""Runs of many large results: what a history keeps of them stays bounded, and the model is told."""

import json

from durable_agents import Agent, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, only_run
from tests.durable_agents.scripted_model import ScriptedModel, calls, says


def reader(effects: Effects, letter: str = "y") -> Agent:
    @tool
    def read(page: int) -> str:
        effects.add(f"page {page}")
        return f"page {page}: " + letter * 60_000

    return Agent(name="Ada", instructions="You are Ada.", tools=(read,))


def pages(first: int, count: int) -> list[tuple[str, str, str]]:
    return [(f"c{n}", "read", f'{{"page": {n}}}') for n in range(first, first + count)]


async def test_conversation_of_a_run_stays_small_and_newest_results_are_whole(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 07: 35 results of 60 KB in one run."""
    model.will(*[calls(*pages(n * 5, 5)) for n in range(7)], says("done"))
    async with hosting(reader(effects)) as host:
        assert (await host.answered())["response"] == "done"
        recorded = sum(len(event.SerializeToString()) for event in only_run(host).history)
    assert len(effects.lines) == 35
    assert max(len(json.dumps(request.body)) for request in model.requests) < 900_000
    assert recorded < 9_000_000
    last = model.requests[-1].body["messages"]
    results = [one["content"] for one in last if one["role"] == "tool"]
    assert all(len(result) > 60_000 for result in results[-5:])
    assert all(result.startswith(f"page {n}: ") for n, result in enumerate(results))
    assert "[cut: the whole result has 60,008 bytes" in results[0]


async def test_too_much_in_one_reply_is_shortened_for_all_alike(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 07: none of the new results is lost."""
    model.will(calls(*pages(0, 40)), says("done"))
    async with hosting(reader(effects, "\u00e4")) as host:
        assert (await host.answered())["response"] == "done"
    body = model.requests[1].body
    assert len(json.dumps(body)) < 900_000
    results = [one["content"] for one in body["messages"] if one["role"] == "tool"]
    assert all(result.startswith(f"page {n}: ä") for n, result in enumerate(results))
    assert max(map(len, results)) - min(map(len, results)) < 10
    assert "bytes in UTF-8]" in results[0]
