"""Answers of an asked form: read, asked for again, and given up on."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field, field_validator

from durable_agents.messages import CallPolicy, ModelRequest, Verdict
from durable_agents.structured_output import OutputFormat, judge
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
    assert "strict" not in described
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


class Deadline(BaseModel):
    """Looks at something that changes: an answer that fits today may not fit tomorrow."""

    day: int

    @field_validator("day")
    @classmethod
    def ahead(cls, day: int) -> int:
        if day <= today[0]:
            raise ValueError("the day is over")
        return day


today = [0]


async def test_answer_is_judged_once_and_in_the_activity(
    run: Run, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flow(context: Any, app: Any) -> Any:
        response = yield app.get_agent(context, "Ada").run("When?", response_format=Deadline)
        monkeypatch.setattr(f"{__name__}.today", [99])
        yield app.get_agent(context, "Bob").run("Go.")
        return response.value.day

    model.will(says('{"day": 0}'), says('{"day": 7}'), says("Gone."))
    outcome = await run(flow)
    assert len(model.requests) == 3
    assert outcome.failure.errorType == "durable_agents.errors.CodeChanged"
    assert "day: Value error, the day is over" in outcome.failure.errorMessage


@pytest.mark.parametrize("timeout", [None, 30])
async def test_class_inside_of_a_function_is_judged_by_as_well(
    run: Run, model: ScriptedModel, timeout: int | None
) -> None:
    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def even(cls, number: int) -> int:
            if number % 2:
                raise ValueError("odd")
            return number

    def flow(context: Any, app: Any) -> Any:
        ada = app.get_agent(context, "Ada")
        response = yield ada.run("Which?", response_format=Even, timeout=timeout)
        return response.value.number

    model.will(says('{"number": 3}'), says('{"number": 4}'))
    assert (await run(flow)).output == 4


def request_for(output: OutputFormat, **schema: Any) -> ModelRequest:
    asked = output.schema.model_copy(update=schema)
    return ModelRequest(message="Which?", output=asked, policy=CallPolicy())


def test_answer_is_held_to_the_schema_it_was_asked_for_when_the_class_has_changed() -> None:
    before = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    request = request_for(OutputFormat.create(City), json_schema=before)
    verdict = judge(request, '{"name": "Paris"}')
    assert verdict == Verdict(policy=CallPolicy(), judged=True)
    wrong = judge(request, '{"people": 1}')
    assert wrong is not None
    assert wrong.problem == "answer lacks the property 'name'"


@pytest.mark.parametrize("place", ["nowhere:City", f"{__name__}:Missing", "os:system", "json:x.y"])
def test_answer_whose_class_is_not_to_be_found_is_left_to_the_orchestrator(place: str) -> None:
    request = request_for(OutputFormat.create(City), python_class=place)
    assert judge(request, PARIS) == Verdict(policy=CallPolicy(), judged=False)


def test_request_of_before_there_were_verdicts_gets_none() -> None:
    request = request_for(OutputFormat.create(City)).model_copy(update={"policy": None})
    assert judge(request, PARIS) is None


@pytest.mark.timeout(60)
async def test_schema_that_no_answer_fits_ends_the_call(run: Run, model: ScriptedModel) -> None:
    model.will(says('{"people": 1}'))
    itself = {"$ref": "#/properties/people"}
    never = {"type": "object", "properties": {"people": {"anyOf": [itself, itself]}}}
    outcome = await run(city(never))
    assert outcome.failure.errorType == "durable_agents.errors.InvalidAgentOutput"
    assert len(model.requests) == 3


async def test_pattern_with_look_around_is_refused_before_any_request(
    run: Run, model: ScriptedModel
) -> None:
    outcome = await run(city({"properties": {"people": {"pattern": "(?=a)a"}}}))
    assert outcome.failure.errorType == "durable_agents.errors.InvalidInput"
    assert "look-around" in outcome.failure.errorMessage
    assert model.requests == []
