"""Answers of an asked form: read, asked for again, and given up on."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field

from tests.durable_agents.scripted_model import ScriptedModel, fails, says

type Run = Callable[..., Any]


class City(BaseModel):
    name: str
    people: int


class Review(BaseModel):
    grade: int = Field(ge=1, le=5)
    notes: dict[str, str] = {}


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer", "minimum": 1}},
    "required": ["name"],
}
PARIS = json.dumps({"name": "Paris", "people": 2100000})


def city(response_format: Any) -> Callable[[Any, Any], Any]:
    def flow(context: Any, app: Any) -> Any:
        response = yield app.get_agent(context, "Ada").run(
            "Which?", response_format=response_format
        )
        value = response.value
        people = value.people if isinstance(value, City) else value["people"]
        return [type(value).__name__, people, response.usage.total_tokens]

    return flow


@pytest.mark.parametrize(("form", "kind"), [(City, "City"), (SCHEMA, "dict")])
async def test_answer_of_the_asked_form_is_the_value(
    run: Run, model: ScriptedModel, form: Any, kind: str
) -> None:
    model.will(says(PARIS))
    outcome = await run(city(form))
    assert outcome.output == [kind, 2100000, 18]
    assert outcome.activities == ["Ada"]


@pytest.mark.parametrize("form", [City, SCHEMA])
@pytest.mark.parametrize(
    "bad", ["Paris!", '{"name": "Paris", "people": "many"}', "[]", "NaN", '{"people": 1e999}']
)
async def test_other_answer_is_asked_for_again_with_what_was_wrong(
    run: Run, model: ScriptedModel, form: Any, bad: str
) -> None:
    model.will(says(bad), says(PARIS))
    outcome = await run(city(form))
    assert outcome.output[1:] == [2100000, 36]
    assert outcome.activities == ["Ada", "Ada"]
    roles = [message["role"] for message in model.requests[1].body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert model.requests[1].body["messages"][2]["content"] == bad


async def test_answer_that_never_fits_fails_after_two_corrections(
    run: Run, model: ScriptedModel
) -> None:
    model.will(says('{"name": "a secret"}'))
    outcome = await run(city(City))
    assert len(model.requests) == 3
    assert outcome.failure.errorType == "durable_agents.errors.InvalidAgentOutput"
    for part in ("Ada", "scripted-1", "asked 3 times", "people: Field required"):
        assert part in outcome.failure.errorMessage
    assert "a secret" not in outcome.failure.errorMessage


async def test_each_correction_has_all_its_attempts(run: Run, model: ScriptedModel) -> None:
    model.will(fails(500), fails(500), says("no"), fails(500), fails(500), says(PARIS))
    outcome = await run(city(City))
    assert outcome.output == ["City", 2100000, 36]


async def test_truncated_answer_is_not_asked_for_again(run: Run, model: ScriptedModel) -> None:
    model.will(says('{"name": "Par', finish="length"))
    outcome = await run(city(City))
    assert len(model.requests) == 1
    assert "cut off" in outcome.failure.errorMessage


async def test_class_that_strict_servers_take_is_asked_for_strictly(
    run: Run, model: ScriptedModel
) -> None:
    model.will(says(PARIS))
    await run(city(City))
    described = model.requests[0].body["response_format"]["json_schema"]
    assert (described["name"], described["strict"]) == ("City", True)
    assert described["schema"]["additionalProperties"] is False
    assert described["schema"]["required"] == ["name", "people"]


async def test_class_that_strict_servers_refuse_goes_out_as_it_is(
    run: Run, model: ScriptedModel
) -> None:
    def flow(context: Any, app: Any) -> Any:
        response = yield app.get_agent(context, "Ada").run("Grade?", response_format=Review)
        return response.value.grade

    model.will(says('{"grade": 9}'), says('{"grade": 4}'))
    assert (await run(flow)).output == 4
    described = model.requests[0].body["response_format"]["json_schema"]
    assert described["strict"] is False
    assert described["schema"] == Review.model_json_schema()


async def test_schema_in_the_form_of_the_request_is_taken_as_well(
    run: Run, model: ScriptedModel
) -> None:
    model.will(says(PARIS))
    wrapped = {"type": "json_schema", "json_schema": {"name": "a city", "schema": SCHEMA}}
    assert (await run(city(wrapped))).output[1] == 2100000
    assert model.requests[0].body["response_format"]["json_schema"]["name"] == "a_city"


async def test_answer_that_poses_as_a_stored_object_is_not_taken(
    run: Run, model: ScriptedModel
) -> None:
    posing = {"people": 1, "x": [{"__class__": "A", "__module__": "b", "__data__": "c"}]}
    model.will(says(json.dumps(posing)), says('{"people": 2}'))
    outcome = await run(city({"type": "object"}))
    assert outcome.output[1] == 2
