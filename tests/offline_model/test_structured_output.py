"""A reply for a JSON schema satisfies it."""

import enum
import json
from typing import Annotated, Literal

import pydantic
import pytest

MARK = "[Offline placeholder, not a model's answer]"


class Colour(enum.Enum):
    RED = "red"


class Leaf(pydantic.BaseModel):
    kind: Literal["leaf"]
    weight: Annotated[float, pydantic.Field(gt=0, le=0.5)]


class Tree(pydantic.BaseModel):
    title: str
    colour: Colour
    count: Annotated[int, pydantic.Field(ge=3, lt=10)]
    score: int | None
    child: "Tree | None"
    parts: list["Tree | Leaf"]
    code: Annotated[str, pydantic.Field(min_length=100, max_length=120)]
    tags: Annotated[list[str], pydantic.Field(min_length=2)]
    pair: tuple[int, str]
    ready: bool


def schema_format(schema):
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}


async def test_a_pydantic_model_of_every_kind_validates(model, ask, content_of) -> None:
    reply = await ask(model, response_format=schema_format(Tree.model_json_schema()))
    tree = Tree.model_validate_json(content_of(reply), strict=False)
    assert tree.title.startswith(MARK)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 7}, 7),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "integer", "minimum": 5, "multipleOf": 4}, 8),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": ["null", "boolean"]}, False),
        ({"type": "string", "format": "date"}, "2000-01-01"),
        ({"type": "array", "items": {"type": "null"}}, [None]),
        ({"type": "array", "items": False}, []),
        ({"allOf": [{"type": "object", "required": ["a"]}, {"properties": {"a": {"const": 1}}}]},
         {"a": 1}),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {}),
    ],
)  # fmt: skip
async def test_a_schema_gets_a_value_that_satisfies_it(
    model, ask, content_of, schema, value
) -> None:
    reply = await ask(model, response_format=schema_format(schema))
    assert json.loads(content_of(reply)) == value


async def test_a_json_object_is_one(model, ask, content_of) -> None:
    reply = await ask(model, response_format={"type": "json_object"})
    assert json.loads(content_of(reply))["placeholder"].startswith(MARK)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^[0-9]{5}$"},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "http://example.com/schema"},
        {"$ref": "#"},
        {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "colour"},
    ],
)
async def test_what_cannot_be_made_up_is_refused_and_not_faked(model, ask, schema) -> None:
    refused = await ask(model, response_format=schema_format(schema))
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "response_format"
