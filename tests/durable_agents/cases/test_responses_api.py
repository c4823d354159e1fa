"""The same runs through the Responses API, where results are matched to calls by id alone."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from durable_agents import Agent, OpenAIResponsesClient, ToolContext, tool
from tests.durable_agents.cases.whole_run import Effects, hosted
from tests.durable_agents.scripted_model import Reply, ScriptedModel, responds


class N(BaseModel):
    n: int


@pytest.fixture
async def client(model: ScriptedModel) -> AsyncIterator[OpenAIResponsesClient]:
    client = OpenAIResponsesClient("small", api_key="key-1", base_url=f"{model.url}/v1", timeout=5)
    yield client
    await client.close()


@pytest.fixture
def ada(effects: Effects) -> Agent:
    @tool
    def search(q: str, context: ToolContext) -> str:
        effects.add(q, context)
        return f"found {q}"

    return Agent(name="Ada", instructions="You are Ada.", tools=(search,))


def search_for(*queries: str, ids: tuple[str, ...], text: str | None = None) -> Reply:
    asked = zip(ids, queries, strict=True)
    return responds(text, *[(id, "search", json.dumps({"q": query})) for id, query in asked])


def pairs(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the query and the result of each call; each id has one call, and one result."""
    asked = [one for one in body["input"] if one.get("type") == "function_call"]
    told = [one for one in body["input"] if one.get("type") == "function_call_output"]
    outputs = {one["call_id"]: one["output"] for one in told}
    ids = [one["call_id"] for one in asked]
    assert len(set(ids)) == len(ids) == len(told)
    assert set(outputs) == set(ids)
    return [(json.loads(one["arguments"])["q"], outputs[one["call_id"]]) for one in asked]


async def test_ids_that_come_again_in_later_turns_mix_nothing_up(
    client: OpenAIResponsesClient, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 05."""
    model.will(
        search_for("A", "B", ids=("call_0", "call_0")),
        search_for("C", "D", ids=("call_0", "call_1")),
        search_for("A", ids=("call_0",)),
        responds("ok"),
    )
    async with hosted(ada, client=client) as host:
        assert (await host.answered())["response"] == "ok"
    assert pairs(model.requests[3].body) == [(q, f"found {q}") for q in "ABCDA"]
    assert sorted(effects.lines) == ["A", "A", "B", "C", "D"]
    assert len(set(effects.keys)) == 5


async def test_turn_with_calls_is_not_the_answer_and_a_correction_comes_after_it(
    client: OpenAIResponsesClient, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 13."""
    model.will(
        search_for("A", ids=("a",), text='{"n": 0}'), responds("seven"), responds('{"n": 7}')
    )
    ada = Agent(name="Ada", tools=ada.tools, response_format=N)
    async with hosted(ada, client=client) as host:
        answer = await host.answered()
    assert answer["value"] == {"n": 7}
    assert answer["usage"]["total_tokens"] == 3 * 18
    assert effects.lines == ["A"]
    kinds = [one.get("type", one.get("role")) for one in model.requests[2].body["input"]]
    assert kinds == [
        *("user", "assistant", "function_call", "function_call_output"),
        *("assistant", "user"),
    ]


async def test_invented_tools_and_broken_arguments_are_told(
    client: OpenAIResponsesClient, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Cases 01 and 03."""
    model.will(responds(None, ("a", "look up", "{}"), ("b", "search", '{"q": ')), responds("Hm."))
    async with hosted(ada, client=client) as host:
        assert (await host.answered())["response"] == "Hm."
    told = [
        one["output"]
        for one in model.requests[1].body["input"]
        if one.get("type") == "function_call_output"
    ]
    assert "tools: search" in told[0]
    assert "not valid JSON" in told[1]
    assert effects.lines == []


async def test_session_goes_on_over_turns_with_the_same_ids(
    client: OpenAIResponsesClient, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 15."""
    model.will(
        search_for("A", ids=("call_0",)),
        responds("one"),
        search_for("B", ids=("call_0",)),
        responds("two"),
    )
    async with hosted(ada, client=client) as host:
        await host.answered(message="First.", session_id="s")
        await host.answered(message="Second.", session_id="s")
    assert pairs(model.requests[3].body) == [("A", "found A"), ("B", "found B")]
