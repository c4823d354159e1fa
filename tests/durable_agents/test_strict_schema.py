"""Schemas that servers hold their models to strictly (case 09)."""

from collections.abc import Callable
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel

from durable_agents.messages import CallPolicy, ModelRequest
from durable_agents.strict_schema import strict_schema
from durable_agents.structured_output import OutputFormat, judge
from tests.durable_agents.payments import Card, Colour, Payment
from tests.durable_agents.scripted_model import ScriptedModel, says
from tests.durable_agents.valid_request import strict_faults

type Run = Callable[..., Any]


class Node(BaseModel):
    name: str
    next: "Node | None" = Field(default=None, description="what follows")
    first: "Node" = Field(description="where it began")


class Limited(BaseModel):
    grade: int = Field(ge=1, le=5, description="how good")
    code: str = Field(pattern="^[A-Z]+$")
    tags: list[str] = Field(default=[], max_length=3)
    mixed: Literal[1, "a", None] = 1
    pair: Colour = Colour.RED


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Anything(BaseModel):
    it: Any


class WithDict(BaseModel):
    notes: dict[str, str]


class BareList(BaseModel):
    items: list  # pyright: ignore


class Pair(BaseModel):
    pair: tuple[int, str]


class HoldsItself(BaseModel):
    notes: dict[str, str]
    inner: "HoldsItself | None" = None


def nested(levels: int) -> type[BaseModel]:
    class Level(BaseModel):
        end: int

    inner: type[BaseModel] = Level
    for number in range(levels - 1):
        inner = type(f"Level{number}", (BaseModel,), {"__annotations__": {"inner": inner}})
    return inner


def wide(count: int) -> type[BaseModel]:
    return type("Wide", (BaseModel,), {"__annotations__": {f"p{n}": int for n in range(count)}})


@pytest.mark.parametrize("model", [Payment, Node, Limited, Card, nested(5), wide(100)])
@pytest.mark.parametrize("optional_as_null", [False, True])
def test_case_09_class_becomes_what_strict_servers_take(
    model: type[BaseModel], optional_as_null: bool
) -> None:
    before = model.model_json_schema()
    schema, strict = strict_schema(before, optional_as_null=optional_as_null)
    assert strict
    assert list(strict_faults(schema)) == []
    assert schema["type"] == "object"
    assert before == model.model_json_schema()


@pytest.mark.parametrize(
    "model", [Open, Anything, WithDict, BareList, Pair, nested(6), wide(101), RootModel[list[int]]]
)
def test_class_that_strict_servers_do_not_take_goes_out_as_it_is(model: type[BaseModel]) -> None:
    assert strict_schema(model.model_json_schema()) == (model.model_json_schema(), False)


def test_class_that_holds_itself_has_its_object_at_the_top_also_when_not_strict() -> None:
    schema, strict = strict_schema(HoldsItself.model_json_schema())
    assert not strict
    assert schema["type"] == "object"
    assert schema["properties"]["inner"]["anyOf"][0] == {"$ref": "#/$defs/HoldsItself"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/None"}}},
        {"type": "object", "properties": {"a": {"$ref": "https://a.example"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": 5}},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/A", "description": "x"}},
            "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}},
        },
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"a": {"allOf": [True]}}},
        {"type": "object", "properties": {"a": {"enum": "a"}}},
        {"type": "object", "properties": {}, "required": [[]]},
        {"type": "string"},
        {},
        {"$ref": "#/$defs/A"},
    ],
)
def test_schema_that_makes_no_sense_is_not_strict_and_not_touched(schema: dict[str, Any]) -> None:
    assert strict_schema(schema) == (schema, False)


@pytest.mark.timeout(30)
def test_schema_that_grows_when_it_is_written_out_is_given_up() -> None:
    defs: dict[str, Any] = {"D40": {"type": "string"}}
    for number in range(40):
        both = {"$ref": f"#/$defs/D{number + 1}", "description": "x"}
        defs[f"D{number}"] = {"anyOf": [both, both]}
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/D0"}}, "$defs": defs}
    assert strict_schema(schema) == (schema, False)


def test_limits_are_told_in_the_description() -> None:
    schema, _ = strict_schema(Limited.model_json_schema())
    assert schema["properties"]["grade"]["description"] == "how good (minimum: 1; maximum: 5)"
    assert schema["properties"]["code"]["description"] == "pattern: ^[A-Z]+$"


def test_what_stands_beside_a_reference_is_kept() -> None:
    schema, _ = strict_schema(Payment.model_json_schema())
    colour, method = schema["properties"]["colour"], schema["properties"]["method"]
    assert (colour["enum"], colour["description"]) == (["red", "blue"], "of the label")
    assert method["description"] == "how it is paid"
    assert [one["$ref"] for one in method["anyOf"]] == ["#/$defs/Card", "#/$defs/Transfer"]
    assert set(schema["$defs"]) == {"Card", "Transfer"}


def test_property_that_may_be_left_out_may_be_null_where_that_is_asked_for() -> None:
    schema, strict = strict_schema(Limited.model_json_schema(), optional_as_null=True)
    assert strict
    assert {"type": "null"} in schema["properties"]["tags"]["anyOf"]
    assert {"type": "null"} in schema["properties"]["pair"]["anyOf"]
    assert schema["properties"]["grade"]["type"] == "integer"
    required, _ = strict_schema(Limited.model_json_schema())
    assert required["properties"]["tags"]["type"] == "array"


PAID = '{"method": {"kind": "transfer", "iban": "XX00"}, "colour": "red", "due": "2026-12-01"}'
CHEQUE = '{"method": {"kind": "cheque"}, "colour": "red", "due": null}'


async def test_case_09_value_is_of_the_classes_also_after_replays(
    run: Run, model: ScriptedModel
) -> None:
    def flow(context: Any, app: Any) -> Any:
        paid = (yield app.get_agent(context, "Ada").run("Pay.", response_format=Payment)).value
        yield app.get_agent(context, "Bob").run("Go on.")
        return [type(paid.method).__name__, paid.due.isoformat(), paid.colour.name]

    model.will(says(PAID), says("On."))
    assert (await run(flow)).output == ["Transfer", "2026-12-01", "RED"]
    assert model.requests[0].body["response_format"]["json_schema"]["strict"] is True


async def test_case_09_correction_names_the_place_and_the_kinds(
    run: Run, model: ScriptedModel
) -> None:
    def flow(context: Any, app: Any) -> Any:
        yield app.get_agent(context, "Ada").run("Pay.", response_format=Payment)

    model.will(says(CHEQUE))
    outcome = await run(flow)
    assert len(model.requests) == 3
    assert outcome.failure.errorType == "durable_agents.errors.InvalidAgentOutput"
    for told in (model.requests[1].message, outcome.failure.errorMessage):
        for part in ("method", "card", "transfer"):
            assert part in told
        assert "cheque" not in told


def test_case_09_correction_by_the_schema_alone_names_the_kinds_as_well() -> None:
    asked = OutputFormat.create(Payment).schema
    # The class has changed since: the schema that was asked for counts.
    old = asked.model_copy(update={"json_schema": {**asked.json_schema, "title": "Before"}})
    request = ModelRequest(message="Pay.", output=old, policy=CallPolicy())
    verdict = judge(request, CHEQUE)
    assert verdict is not None
    for part in ("method", "card", "transfer"):
        assert part in verdict.problem
