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
        {"required": ["a"], "$ref": "#/required"},
        {"$ref": "https://example.com/schema"},
    ],
)
def test_schema_that_cannot_be_checked_is_refused(schema: Any) -> None:
    with pytest.raises(UnusableSchema):
        json_schema.require_usable(schema)


def doubling(keyword: str) -> dict[str, Any]:
    """Return a schema of 40 parts, each of which refers to the next one twice."""
    parts: dict[str, Any] = {"s40": {"type": "string"}}
    for n in range(40):
        parts[f"s{n}"] = {keyword: [{"$ref": f"#/$defs/s{n + 1}"}] * 2}
    return {"$defs": parts, "$ref": "#/$defs/s0"}


def everyone() -> dict[str, Any]:
    """Return a schema of twelve parts, each of which refers to all others."""
    names = [f"k{n}" for n in range(12)]
    parts = {
        name: {"anyOf": [{"$ref": f"#/$defs/{other}"} for other in names if other != name]}
        for name in names
    }
    return {"$defs": parts, "$ref": "#/$defs/k0"}


HARD: dict[str, tuple[Any, Any]] = {
    "itself, twice": ({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, 1),
    "all of itself": ({"allOf": [{"$ref": "#"}, {"$ref": "#"}], "type": "string"}, "a"),
    "doubling anyOf": (doubling("anyOf"), 1),
    "doubling allOf": (doubling("allOf"), 1),
    "doubling oneOf": (doubling("oneOf"), "a"),
    "everyone": (everyone(), 1),
    "nested repetition": ({"pattern": "^(a+)+$"}, "a" * 40 + "!"),
    "overlapping choice": ({"pattern": "^(a|aa)+$"}, "a" * 80 + "!"),
    "many wildcards": ({"pattern": "^" + ".*a" * 25 + "$"}, "a" * 30_000 + "!"),
    "any alphabet": ({"pattern": r"(\w{0,10}){0,20}!"}, "日本" * 100_000),
    "long choice": ({"items": {"enum": list(range(20_000))}}, [-1] * 20_000),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HARD)
def test_check_ends_soon_whatever_the_schema(name: str) -> None:
    schema, value = HARD[name]
    json_schema.require_usable(schema)
    assert json_schema.problems(value, schema)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        (r"(a)\1", "backreferences"),
        ("a{1000000}", "size limit"),
        ("(a{0,200}){0,100}", "repetitions"),
        ("[" * 10_000, "unclosed"),
        ("[" * 10_001, "longer than"),
    ],
)
def test_pattern_that_no_bounded_time_is_enough_for_is_refused_with_the_reason(
    pattern: str, why: str
) -> None:
    with pytest.raises(UnusableSchema, match=why):
        json_schema.require_usable({"properties": {"a": {"pattern": pattern}}})


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^\w{1,100}$", "Zürich"),
        (r"^[\w.+-]+@[\w-]+\.[\w.-]+$", "ada@example.com"),
        (r"^\d{4}-\d{2}-\d{2}$", "2026-01-31"),
        (r"^[a-z]{1,63}(\.[a-z]{1,63}){1,10}$", "www.example.com"),
        (r"\p{Latin}{3}\x{41}", "abcA"),
        ("^(?:red|green)(?P<n>)$", "red"),
    ],
)
def test_pattern_of_everyday_is_matched(pattern: str, text: str) -> None:
    json_schema.require_usable({"pattern": pattern})
    assert json_schema.problems(text, {"pattern": pattern}) == []
    assert json_schema.problems("?", {"pattern": pattern})


def test_schema_that_is_shared_many_times_over_is_refused() -> None:
    schema: Any = {}
    for _ in range(50):
        schema = {"anyOf": [schema, schema]}
    with pytest.raises(UnusableSchema, match="more than 10000 parts"):
        json_schema.require_usable(schema)


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"anyOf": [{"$ref": "#"}, {"type": "string"}]}, "a", 1),
        (
            {
                "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
                "$defs": {
                    "a": {"anyOf": [{"$ref": "#/$defs/b"}, {"type": "string"}]},
                    "b": {"anyOf": [{"$ref": "#/$defs/a"}]},
                },
            },
            "a",
            1,
        ),
    ],
)
def test_part_that_refers_to_itself_is_valid_where_another_choice_is(
    schema: Any, valid: Any, invalid: Any
) -> None:
    assert json_schema.problems(valid, schema) == []
    assert json_schema.problems(invalid, schema)


def test_long_answer_is_checked_to_its_end() -> None:
    row = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}}
    rows: list[Any] = [{"n": n} for n in range(20_000)]
    assert json_schema.problems(rows, {"items": row}) == []
    assert json_schema.problems([*rows, {"n": -1}], {"items": row}) == [
        "answer[20000].n is less than 0"
    ]
