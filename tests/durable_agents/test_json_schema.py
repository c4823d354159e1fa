"""The check of data against a JSON schema, keyword by keyword."""

from typing import Any

import pytest

from durable_agents import json_schema
from durable_agents.json_schema import UnusableSchema

TREE = {
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    "$ref": "#/$defs/node",
}
CASES: list[tuple[Any, list[Any], list[Any]]] = [
    (True, [1, None, {}], []),
    ({"type": "string"}, ["", "a"], [1, None, []]),
    ({"type": "integer"}, [1, -1, 2.0], [1.5, True, "1"]),
    ({"type": "number"}, [1, 1.5], [True, "1"]),
    ({"type": "boolean"}, [True], [1, 0]),
    ({"type": ["string", "null"]}, ["a", None], [1]),
    ({"enum": ["a", 1]}, ["a", 1], ["b", True]),
    ({"const": 1}, [1], [True, 2]),
    ({"minLength": 2, "maxLength": 3}, ["ab", 1], ["a", "abcd"]),
    ({"pattern": "^a+$"}, ["aa", 1], ["ab"]),
    ({"minimum": 1, "exclusiveMaximum": 3}, [1, 2.9], [0, 3]),
    ({"maximum": 3, "exclusiveMinimum": 1}, [3, 1.1], [1, 4]),
    ({"multipleOf": 0.1}, [0.3, 7, 1e308, 10**400], [0.25]),
    ({"type": "integer", "maximum": 1.5}, [1], [10**400]),
    ({"items": {"type": "string"}, "minItems": 1, "maxItems": 2}, [["a"]], [[], [1], ["a"] * 3]),
    ({"required": ["a"]}, [{"a": 1}, []], [{}]),
    ({"properties": {"a": {"type": "string"}}}, [{"a": "x", "b": 1}, {}], [{"a": 1}]),
    ({"properties": {"a": True}, "additionalProperties": False}, [{"a": 1}], [{"b": 1}]),
    ({"additionalProperties": {"type": "string"}}, [{"a": "x"}], [{"a": 1}]),
    ({"anyOf": [{"type": "string"}, {"minimum": 3}]}, ["a", 3], [1]),
    ({"oneOf": [{"type": "integer"}, {"minimum": 3}]}, [1, 3.5], [5, 1.5]),
    ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, [5], [1, 3.5]),
    (TREE, [{"next": {"next": {}}}], [{"next": {"next": 1}}]),
    ({"$ref": "#"}, [], [1]),
]


@pytest.mark.parametrize(("schema", "valid", "invalid"), CASES)
def test_only_what_the_schema_describes_is_valid(
    schema: Any, valid: list[Any], invalid: list[Any]
) -> None:
    json_schema.require_usable(schema)
    assert [json_schema.problems(value, schema) for value in valid] == [[]] * len(valid)
    for value in invalid:
        assert json_schema.problems(value, schema)


def test_problem_names_its_place() -> None:
    schema = {"properties": {"people": {"items": {"required": ["name"]}}}}
    assert json_schema.problems({"people": [{"name": ""}, {}]}, schema) == [
        "answer.people[1] lacks the property 'name'"
    ]


@pytest.mark.parametrize(
    "schema",
    [
        None,
        "string",
        {"if": {}},
        {"type": "text"},
        {"type": [{}]},
        {"properties": []},
        {"properties": {"a": {"not": {}}}},
        {"anyOf": []},
        {"minLength": "2"},
        {"multipleOf": 0},
        {"pattern": "("},
        {"$ref": "#/$defs/missing"},
        {"$ref": "https://example.com/schema"},
    ],
)
def test_schema_that_cannot_be_checked_is_refused(schema: Any) -> None:
    with pytest.raises(UnusableSchema):
        json_schema.require_usable(schema)
