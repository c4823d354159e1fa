"""Tools that the model invents: it is told of those there are, and no server is given the name."""

import pytest

from durable_agents import Agent, RunLimits, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, only_run, told
from tests.durable_agents.scripted_model import ScriptedModel, calls, says

WRAPPED = (
    '{"tool_uses": ['
    '{"recipient_name": "functions.add", "parameters": {"a": 1, "b": 2}}, '
    '{"recipient_name": "functions.add", "parameters": {"a": 3, "b": 4}}]}'
)


@pytest.fixture
def ada(effects: Effects) -> Agent:
    @tool
    def add(a: int, b: int) -> int:
        effects.add(str(a + b))
        return a + b

    return Agent(name="Ada", tools=(add,))


async def test_calls_in_the_parallel_wrapper_run_one_by_one_beside_invented_ones(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 03."""
    model.will(
        calls(("m1", "multi_tool_use.parallel", WRAPPED)),
        calls(("m2", "lookup weather", "{}"), ("m3", "add", '{"a": 5, "b": 6}')),
        says("11"),
    )
    async with hosting(ada) as host:
        answer = await host.answered()
        assert only_run(host).activities == ["Ada", "add", "add", "Ada", "add", "Ada"]
    assert answer["response"] == "11"
    assert sorted(effects.lines) == ["11", "3", "7"]
    first = model.requests[1].body["messages"]
    assert [one["content"] for one in first if one["role"] == "tool"] == ["3", "7"]
    assert "no tool named" in told(model.requests[2], "m2")
    assert "tools: add" in told(model.requests[2], "m2")
    assert told(model.requests[2], "m3") == "11"


@pytest.mark.parametrize(
    "wrapped",
    ["{}", "", '{"tool_uses": []}', '{"tool_uses": [{"recipient_name": ""}]}', '{"tool_uses": 7}'],
)
async def test_wrapper_with_nothing_in_it_is_told_and_not_dropped(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects, wrapped: str
) -> None:
    """Case 03: never dropped in silence."""
    model.will(calls(("m1", "multi_tool_use.parallel", wrapped)), says("sorry"))
    async with hosting(ada) as host:
        assert (await host.answered())["response"] == "sorry"
    assert "tools: add" in told(model.requests[1])
    assert effects.lines == []


@pytest.mark.parametrize(
    "name",
    ["functions.add", "add<|channel|>commentary", " add ", "functions. add"],
)
async def test_name_that_can_only_mean_one_tool_calls_it(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects, name: str
) -> None:
    """Case 03: the namespace and tokens of the model's own format are no part of a name."""
    model.will(calls(("m1", name, '{"a": 1, "b": 2}')), says("3"))
    async with hosting(ada) as host:
        await host.answered()
    assert effects.lines == ["3"]


@pytest.mark.parametrize(
    "name",
    ["Lookup weather", "müller.λ", "x" * 300, "", None, 7, {"name": "add"}, "a.b/c d", "\ud83d"],
)
async def test_invented_name_of_any_kind_is_told_under_one_that_servers_take(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects, name: object
) -> None:
    """Case 03; that the requests are valid is checked by the model's server."""
    model.will(calls(("m1", name, "{}")), says("sorry"))
    async with hosting(ada) as host:
        assert (await host.answered())["response"] == "sorry"
    assert "tools: add" in told(model.requests[1], "m1")
    assert effects.lines == []


async def test_model_that_invents_a_name_in_every_turn_ends_at_the_limit(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    """Case 03."""
    model.will(calls(("m", "lookup.weather", "{}")))
    async with hosting(ada) as host:
        problem = await host.problem()
        shown = only_run(host).custom_status
    assert problem["code"] == "MaxTurnsExceeded"
    assert len(model.requests) == 20
    assert shown["tools"] == ["lookup_weather"]


async def test_model_that_repeats_one_call_for_ever_ends_at_the_limit(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 03: each repeat is a call of its own, with a key of its own."""
    model.will(calls(("call_0", "add", '{"a": 1, "b": 2}')))
    async with hosting(ada) as host:
        problem = await host.problem()
    assert problem["code"] == "MaxTurnsExceeded"
    assert problem["usage"]["total_tokens"] == 20 * 18
    assert len(model.requests) == 20
    assert effects.lines == ["3"] * 20


async def test_agent_without_tools_that_is_asked_for_one_tells_that_there_are_none(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Of the kind of case 03: a model calls tools of which nobody told it."""
    model.will(calls(("m1", "search", "{}")), says("Sorry."))
    async with hosting(Agent(name="Ada")) as host:
        assert (await host.answered())["response"] == "Sorry."
    assert "tools: none" in told(model.requests[1])
    assert "tools" not in model.requests[1].body


async def test_reply_with_a_thousand_calls_runs_none_of_them_and_fails(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 03: a reply is bounded by the limits of the run."""
    many = [(f"c{n}", "add", '{"a": 1, "b": 2}') for n in range(1000)]
    model.will(calls(*many), says("never"))
    async with hosting(ada) as host:
        problem = await host.problem()
    assert problem["code"] == "MaxTurnsExceeded"
    assert effects.lines == []
    assert len(model.requests) == 1


async def test_reply_with_a_thousand_invented_calls_is_bounded_as_well(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    """Of the kind of case 03: what is only told costs history and tokens too."""
    model.will(calls(*[(f"c{n}", "no_such", "{}") for n in range(1000)]), says("never"))
    async with hosting(ada) as host:
        problem = await host.problem()
    assert problem["code"] == "MaxTurnsExceeded"
    assert len(model.requests) == 1


async def test_limit_of_calls_counts_over_all_turns(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 03."""
    bob = Agent(name="Bob", tools=ada.tools, limits=RunLimits(tool_calls=2))
    model.will(calls(("c", "add", '{"a": 1, "b": 2}')))
    async with hosting(bob) as host:
        problem = await host.problem("Bob")
    assert problem["code"] == "MaxTurnsExceeded"
    assert effects.lines == ["3", "3"]


async def test_reply_with_as_many_calls_as_the_limit_runs_them_all_in_order(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 03: the limit itself is allowed."""
    many = [("c", "add", f'{{"a": {n}, "b": 0}}') for n in range(100)]
    model.will(calls(*many), says("done"))
    async with hosting(ada) as host:
        assert (await host.answered())["response"] == "done"
    results = [one for one in model.requests[1].body["messages"] if one["role"] == "tool"]
    assert [one["content"] for one in results] == [str(n) for n in range(100)]
    assert len(effects.lines) == 100
