"""Arguments of calls that are not quite JSON: what is plainly meant runs, the rest is told."""

from typing import Any

import pytest

from durable_agents import Agent, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, told
from tests.durable_agents.scripted_model import ScriptedModel, calls, says


@pytest.fixture
def ada(effects: Effects) -> Agent:
    @tool
    def now() -> str:
        effects.add("now")
        return "noon"

    @tool
    def add(a: int, b: int = 2) -> int:
        effects.add(f"add {a} {b}")
        return a + b

    @tool
    def note(text: str) -> str:
        effects.add(f"note {text}")
        return "noted"

    return Agent(name="Ada", tools=(now, add, note))


async def run_with(
    hosting: Hosting, ada: Agent, model: ScriptedModel, name: str, arguments: Any
) -> str:
    """Let the model call a tool once; return what it is told."""
    model.will(calls(("c1", name, arguments)), says("done"))
    async with hosting(ada) as host:
        answer = await host.answered()
    assert (answer["response"], answer["status"]) == ("done", "success")
    assert len(model.requests) == 2
    return told(model.requests[1], "c1")


@pytest.mark.parametrize("arguments", ["", "  ", "null", None, "{}"])
async def test_tool_without_parameters_runs_whatever_stands_for_nothing(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects, arguments: str | None
) -> None:
    """Case 01."""
    assert await run_with(hosting, ada, model, "now", arguments) == "noon"
    assert effects.lines == ["now"]


@pytest.mark.parametrize(
    "arguments",
    ['{"a": "5"}', '{"a": 5, "b": null}', '{"a": 5.0}', '"{\\"a\\": 5}"', '\ufeff{"a": 5}'],
)
async def test_numbers_as_texts_and_nulls_over_defaults_are_what_they_mean(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects, arguments: str
) -> None:
    """Case 01."""
    assert await run_with(hosting, ada, model, "add", arguments) == "7"
    assert effects.lines == ["add 5 2"]


async def test_value_with_raw_line_feed_arrives_with_it_and_is_kept_in_the_conversation(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 01."""
    await run_with(hosting, ada, model, "note", '{"text": "one\ntwo\tthree"}')
    assert effects.lines == ["note one\ntwo\tthree"]
    (call,) = model.requests[1].body["messages"][-2]["tool_calls"]
    # As valid JSON: the model sees what it asked for, and a strict server can read it.
    assert call["function"]["arguments"] == '{"text": "one\\ntwo\\tthree"}'


async def test_broken_json_is_told_with_its_place_and_not_as_cut_off(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 01."""
    words = await run_with(hosting, ada, model, "add", '{"a": 5')
    assert "not valid JSON" in words
    assert "column 8" in words
    assert not any(word in words for word in ("cut", "truncat", "length", "token"))
    assert effects.lines == []


@pytest.mark.parametrize("arguments", ["[5]", "5", '"x"', "true", '[{"a": 5}]'])
async def test_arguments_that_are_no_object_are_told_so(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects, arguments: str
) -> None:
    """Case 01."""
    assert "object" in await run_with(hosting, ada, model, "add", arguments)
    assert effects.lines == []


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ('{"a": "five"}', ("a", "integer")),
        ('{"b": 1}', ("a", "missing", "integer")),
        ('{"a": 1, "zz": 2}', ("zz", "a (an integer)", "b (an integer, may be left out)")),
        ('{"a": null}', ("a", "integer")),
        ('{"a": 1.5}', ("a", "integer")),
        ('{"a": true, "b": []}', ("b", "integer")),
    ],
)
async def test_wrong_argument_is_told_by_its_parameter_and_what_it_should_be(
    hosting: Hosting,
    ada: Agent,
    model: ScriptedModel,
    effects: Effects,
    arguments: str,
    parts: tuple[str, ...],
) -> None:
    """Case 01."""
    words = await run_with(hosting, ada, model, "add", arguments)
    assert all(part in words for part in parts)
    assert effects.lines == []


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ('{"a": 5', "{}"),
        ("[5]", "{}"),
        ('{"a": NaN}', "{}"),
        ('{"a": 1e999}', "{}"),
        ('"{\\"a\\": 5}"', '{"a": 5}'),
        (' {"a":5 }', '{"a":5 }'),
    ],
)
async def test_arguments_go_back_to_the_server_as_an_object_that_is_valid_json(
    hosting: Hosting, ada: Agent, model: ScriptedModel, arguments: str, kept: str
) -> None:
    """Case 01: a strict server reads what the assistant is said to have asked for."""
    await run_with(hosting, ada, model, "add", arguments)
    (call,) = model.requests[1].body["messages"][-2]["tool_calls"]
    assert call["function"]["arguments"].strip() == kept


async def test_parameter_with_default_may_be_left_out_by_the_offered_schema(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    """Case 01: left out, or null where the schema is strict."""
    await run_with(hosting, ada, model, "now", "{}")
    offered = {one["function"]["name"]: one["function"] for one in model.requests[0].body["tools"]}
    schema = offered["add"]["parameters"]
    if offered["add"].get("strict"):
        kinds = {one["type"] for one in schema["properties"]["b"].get("anyOf", [])}
        assert "null" in kinds | set(schema["properties"]["b"].get("type", []))
    else:
        assert schema["required"] == ["a"]
