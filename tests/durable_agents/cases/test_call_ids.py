"""Ids of calls that collide, are missing or come again: no call is lost, doubled or mixed up."""

import json

import pytest

from durable_agents import Agent, ToolContext, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, in_turn, run_input
from tests.durable_agents.scripted_model import Reply, Request, ScriptedModel, calls, says


def search_for(*queries: str, ids: tuple[object, ...]) -> Reply:
    asked = zip(ids, queries, strict=True)
    return calls(*[(id, "search", json.dumps({"q": query})) for id, query in asked])


SCRIPT = (
    search_for("A", "B", ids=("search", "search")),
    search_for("C", "D", ids=("", None)),
    search_for("A", ids=("search",)),
    says("ok"),
)


@pytest.fixture
def ada(effects: Effects) -> Agent:
    @tool
    def search(q: str, context: ToolContext) -> str:
        effects.add(q, context)
        return f"found {q}"

    return Agent(name="Ada", tools=(search,))


def pairs(request: Request) -> list[list[tuple[str, str]]]:
    """Return for each turn with calls the query of each call and what was told by its id."""
    turns: list[list[tuple[str, str]]] = []
    messages = request.body["messages"]
    for at, message in enumerate(messages):
        asked = message.get("tool_calls", [])
        if asked:
            results = {
                one["tool_call_id"]: one["content"]
                for one in messages[at + 1 :][::-1]
                if one["role"] == "tool"
            }
            turns.append(
                [
                    (json.loads(one["function"]["arguments"])["q"], results[one["id"]])
                    for one in asked
                ]
            )
    return turns


async def test_calls_of_one_id_or_of_none_each_run_once_and_get_their_own_result(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 05."""
    model.will(*SCRIPT)
    async with hosting(ada) as host:
        assert (await host.answered())["response"] == "ok"
    assert len(model.requests) == 4
    assert sorted(effects.lines[:4]) == ["A", "B", "C", "D"]
    assert effects.lines[4:] == ["A"]
    assert len(set(effects.keys)) == 5
    assert all(effects.keys)
    ab, cd = [("A", "found A"), ("B", "found B")], [("C", "found C"), ("D", "found D")]
    assert pairs(model.requests[1]) == [ab]
    assert pairs(model.requests[2])[1:] == [cd]
    assert pairs(model.requests[3])[1:] == [cd, [("A", "found A")]]


async def test_results_stand_in_the_order_of_the_calls(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    """Case 05."""
    model.will(*SCRIPT)
    async with hosting(ada) as host:
        await host.answered()
    messages = model.requests[3].body["messages"]
    told = [one["content"] for one in messages if one["role"] == "tool"]
    assert told == ["found A", "found B", "found C", "found D", "found A"]


async def test_server_that_begins_at_call_0_in_each_turn_gets_each_result_once(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 05: an id comes again in later turns, with other arguments."""
    model.will(
        search_for("A", "B", ids=("call_0", "call_1")),
        search_for("C", "D", ids=("call_0", "call_1")),
        search_for("E", ids=("call_0",)),
        says("ok"),
    )
    async with hosting(ada) as host:
        await host.answered()
    assert sorted(effects.lines) == ["A", "B", "C", "D", "E"]
    assert len(set(effects.keys)) == 5
    messages = model.requests[3].body["messages"]
    told = [one["content"] for one in messages if one["role"] == "tool"]
    assert told == [f"found {q}" for q in "ABCDE"]


@pytest.mark.parametrize(
    "ids",
    [("a", "a", "a-2"), ("a-2", "a", "a"), (" ", "\t", ""), (7, 7, "7"), ("x" * 500,) * 3],
)
async def test_any_ids_of_one_reply_become_different_and_not_empty(
    hosting: Hosting,
    ada: Agent,
    model: ScriptedModel,
    effects: Effects,
    ids: tuple[object, ...],
) -> None:
    """Case 05; that the ids differ is checked by the model's server."""
    model.will(search_for("A", "B", "C", ids=ids), says("ok"))
    async with hosting(ada) as host:
        await host.answered()
    assert sorted(effects.lines) == ["A", "B", "C"]
    assert pairs(model.requests[1]) == [[(q, f"found {q}") for q in "ABC"]]


async def test_ids_and_keys_are_the_same_after_kills(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 05: the ids are the same in every replay."""
    model.respond = in_turn(*SCRIPT)
    async with hosting(ada) as host:
        await host.answered()
        steps = host.steps
    last = model.requests[-1].body
    for step in range(1, steps):
        effects.file.unlink()
        async with hosting(ada, kill_after=step) as host:
            run = await host.start("run-Ada", run_input())
            assert (await host.result(run)).output["text"] == "ok"
        assert sorted(effects.distinct) == ["A", "A", "B", "C", "D"]
        assert len(set(effects.keys)) == 5
        assert model.requests[-1].body == last
