"""Schemas that MCP servers send, as model servers take them, and as far as they are checked."""

import copy
import json
from typing import Any, cast

import pytest

from durable_agents.json_schema import UnusableSchema, problems
from durable_agents.tools.schema_arguments import SchemaArguments
from durable_agents.tools.server_schema import checkable_schema, offered_schema

TEXT = {"type": "string"}


BY_PATTERN = {
    "type": "object",
    "patternProperties": {"^x": TEXT},
    "additionalProperties": False,
}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("sent", "offered"),
    [
        ({}, an_object()),
        ({"type": "object"}, an_object()),
        ({"type": ["object", "null"]}, an_object()),
        ({"type": "object", "properties": None, "required": None}, an_object()),
        (an_object(a={"type": "array"}), an_object(a={"type": "array", "items": {}})),
        (an_object(a={"type": ["array", "null"]}), None),
        (an_object(a={"type": "array", "items": [TEXT]}), None),
        (an_object(a=True, b=False), an_object(a={})),
        (an_object(a={"type": "int"}), an_object(a={})),
        (an_object(a={"anyOf": []}), an_object(a={})),
        ({"type": "object", "oneOf": [an_object(a=TEXT), an_object(b=TEXT)]}, None),
        ({"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": an_object(a=TEXT)}}, None),
        ({"$ref": "#/definitions/A", "definitions": {"A": an_object(a=TEXT)}}, None),
        (an_object(a={"$ref": "#"}), None),
        ({**an_object(a=TEXT), "enum": [], "not": {}, "$schema": "x"}, an_object(a=TEXT)),
    ],
)
def test_what_is_meant_is_offered_in_the_form_that_servers_take(
    sent: dict[str, Any], offered: dict[str, Any] | None
) -> None:
    before = copy.deepcopy(sent)
    found = offered_schema(sent)
    assert sent == before
    assert found["type"] == "object"
    assert isinstance(found["properties"], dict)
    assert not {"anyOf", "oneOf", "allOf", "enum", "not", "$ref"} & set(found)
    assert _arrays_have_items(found)
    if offered is not None:
        assert {**found, "required": None} == {**offered, "required": None}
    assert checkable_schema(found) is not None


def _arrays_have_items(schema: object) -> bool:
    if isinstance(schema, list):
        return all(map(_arrays_have_items, cast("list[object]", schema)))
    if not isinstance(schema, dict):
        return True
    part = cast("dict[str, object]", schema)
    is_sound = "array" not in str(part.get("type")) or isinstance(part.get("items"), dict)
    return is_sound and all(map(_arrays_have_items, part.values()))


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = TEXT
    for _ in range(depth):
        schema = an_object(a=schema)
    return schema


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [],
        "object",
        {"type": "string"},
        {"type": "object", "properties": []},
        an_object(a="string"),
        an_object(a={"$ref": "#/$defs/None"}),
        an_object(a={"$ref": "https://example.com/schema.json"}),
        {"$ref": "#"},
        {"type": "object", "properties": {"a": {"items": 5}}},
        nested(80),
    ],
)
def test_what_describes_no_object_is_refused(sent: Any) -> None:
    with pytest.raises(UnusableSchema):
        offered_schema(sent)


@pytest.mark.parametrize(
    ("part", "good", "bad"),
    [
        ({"type": "string", "x-unit": "m"}, "a", 5),
        ({"type": "integer", "contentEncoding": "x"}, 5, "a"),
        ({"not": TEXT}, "a", None),
        ({"type": "string", "pattern": "(?<=a)b"}, "anything", None),
        ({"type": "string", "nullable": True}, None, None),
        ({"type": "array", "prefixItems": [TEXT], "items": False}, ["a"], "a"),
        (
            {"type": "object", "patternProperties": {"^x": {}}, "additionalProperties": False},
            {"x": 1},
            1,
        ),
    ],
)
def test_unknown_keywords_are_the_servers_business(part: Any, good: Any, bad: Any) -> None:
    reader = SchemaArguments(offered_schema(an_object(a=part)))
    assert reader.read(json.dumps({"a": good})).problem == ""
    if bad is not None:
        assert reader.read(json.dumps({"a": bad})).problem != ""


SCHEMA = {
    **an_object(
        n={"type": "integer"},
        t=TEXT,
        items={"type": "array", "items": {"$ref": "#/$defs/Item"}},
        maybe={"type": ["number", "null"]},
    ),
    "required": ["n"],
    "$defs": {"Item": an_object(id=TEXT)},
}


@pytest.mark.parametrize(
    ("written", "effective"),
    [
        ('{"n": 5}', {"n": 5}),
        ('{"n": "5"}', {"n": 5}),
        ('{"n": 5, "t": "5"}', {"n": 5, "t": "5"}),
        ('{"n": 5, "t": null}', {"n": 5}),
        ('{"n": 5, "maybe": null}', {"n": 5, "maybe": None}),
        ('{"n": 5, "items": "[{\\"id\\": \\"a\\"}]"}', {"n": 5, "items": [{"id": "a"}]}),
        ('{"n": 5, "other": 1}', {"n": 5, "other": 1}),
        ('{"n": 5, "t": "a\nb"}', {"n": 5, "t": "a\nb"}),
        ('"{\\"n\\": 5}"', {"n": 5}),
    ],
)
def test_what_is_plainly_meant_is_read(written: str, effective: dict[str, Any]) -> None:
    reader = SchemaArguments(offered_schema(SCHEMA))
    read = reader.read(written)
    assert read.problem == ""
    assert json.loads(read.arguments) == effective
    assert reader.values(reader.reread(read.arguments)) == effective
    assert reader.text(reader.reread(read.arguments)) == read.arguments


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "'n'"),
        ('{"n": "five"}', "arguments.n"),
        ('{"n": null}', "arguments.n"),
        ('{"n": true}', "arguments.n"),
        ('{"n": 5, "items": [{"id": 7}]}', "arguments.items[0].id"),
        ("5", "not a number"),
        ("{", "not valid JSON"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(written: str, words: str) -> None:
    assert words in SchemaArguments(offered_schema(SCHEMA)).read(written).problem


def test_person_changes_some_arguments() -> None:
    reader = SchemaArguments(offered_schema(SCHEMA))
    assert json.loads(reader.edit('{"n": 1, "t": "a"}', {"n": 2}).arguments) == {"n": 2, "t": "a"}
    assert "arguments.n" in reader.edit('{"n": 1}', {"n": "2"}).problem
    assert reader.edit('{"n": 1}', {"n": object()}).problem
    assert problems({"n": 1}, SCHEMA, "arguments") == []
