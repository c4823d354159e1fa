"""Schemas of tools that others have written, as model servers take them. Pure.

MCP allows more than model servers do, and servers send more than MCP allows. What is plainly meant
is written as model servers want it; a tool that no model could be told of is refused.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from durable_agents import json_schema
from durable_agents.json_schema import UnusableSchema

_DEEPEST = 50
_TYPES = {"string", "number", "integer", "boolean", "array", "object", "null"}
_BRANCHES = ("allOf", "anyOf", "oneOf")
_BY_NAME = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_IN_LISTS = (*_BRANCHES, "prefixItems")
_SINGLE = (
    *("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"),
    *("unevaluatedProperties", "unevaluatedItems", "additionalItems"),
)
# At the top, where model servers want an object and nothing else.
_NOT_AT_TOP = ("enum", "const", "not", "if", "then", "else", "$schema", "$id", "$anchor")

type Mend = Callable[[dict[str, Any]], dict[str, Any]]


def offered_schema(schema: object) -> dict[str, Any]:
    """Return a tool's parameters as model servers take them.

    Args:
        schema: What the tool's server sent; it is not changed.

    Returns:
        An object with `properties`, arrays with `items`, and references that lead somewhere.

    Raises:
        UnusableSchema: It does not describe an object, or a part of it is no schema.
    """
    if not isinstance(schema, Mapping):
        raise UnusableSchema("it is no JSON schema")
    whole = cast("dict[str, Any]", _mapped(dict(cast("Mapping[str, Any]", schema)), _mended, 0))
    _require_references(whole, whole)
    return _object_at_top(whole)


def checkable_schema(offered: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what of a schema can be checked here; None where nothing can. The server checks all.

    Args:
        offered: A schema that `offered_schema` returned.
    """
    known = cast("dict[str, Any]", _mapped(dict(offered), _without_unknown, 0))
    try:
        json_schema.require_usable(known)
    except (UnusableSchema, RecursionError, TypeError):
        return None
    return known


def _mapped(schema: object, mend: Mend, depth: int) -> Any:
    """Return a schema with every part of it mended, from the outside to the inside."""
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, Mapping):
        raise UnusableSchema(f"{schema!r:.80} is no JSON schema")
    if depth > _DEEPEST:
        raise UnusableSchema(f"it is nested more than {_DEEPEST} deep")
    part = mend(dict(cast("Mapping[str, Any]", schema)))
    for name in _BY_NAME:
        if name in part:
            members = cast("Mapping[str, Any]", part[name])
            part[name] = {key: _mapped(one, mend, depth + 1) for key, one in members.items()}
    for name in _IN_LISTS:
        if name in part:
            part[name] = [_mapped(one, mend, depth + 1) for one in part[name]]
    for name in _SINGLE:
        if name in part:
            part[name] = _mapped(part[name], mend, depth + 1)
    return part


def _mended(part: dict[str, Any]) -> dict[str, Any]:
    """Return one part with what is plainly meant in place of what model servers refuse."""
    part = _without_wrong_kinds(part)
    if "properties" in part:
        # As a schema of its own, `true` is refused; `false` can be given by nobody.
        members = cast("dict[str, Any]", part["properties"])
        part["properties"] = {
            name: {} if one is True else one for name, one in members.items() if one is not False
        }
    kinds = _kinds(part)
    part.pop("type", None)
    if kinds:
        part["type"] = kinds[0] if len(kinds) == 1 else kinds
    if isinstance(part.get("items"), list | bool):  # a form for each place, or for none
        part["items"] = {}
    if "array" in kinds:
        part.setdefault("items", {})
    return part


def _without_wrong_kinds(part: dict[str, Any]) -> dict[str, Any]:
    for name in _BY_NAME:
        if part.get(name, {}) is None:
            del part[name]
        elif not isinstance(part.get(name, {}), Mapping):
            raise UnusableSchema(f"'{name}' is no object")
    lists = (*_IN_LISTS, "required", "enum")
    wrong = {name for name in lists if name in part and not isinstance(part[name], list)}
    empty = {name for name in (*_IN_LISTS, "enum") if part.get(name) == []}
    return {name: value for name, value in part.items() if name not in wrong | empty}


def _kinds(part: Mapping[str, Any]) -> list[str]:
    given: object = part.get("type")
    kinds = [given] if isinstance(given, str) else given
    if not isinstance(kinds, list):
        return []
    return [kind for kind in cast("list[Any]", kinds) if isinstance(kind, str) and kind in _TYPES]


def _object_at_top(whole: dict[str, Any]) -> dict[str, Any]:
    top = dict(whole)
    for _ in range(_DEEPEST):
        if "$ref" not in top:
            break
        top = {**_members(_target(top.pop("$ref"), whole)), **top}
    else:
        raise UnusableSchema("its reference refers to itself")
    kinds = _kinds(top)
    if kinds and "object" not in kinds:
        raise UnusableSchema("it does not describe an object")
    for keyword in _BRANCHES:
        top = _with_branches(top, keyword, whole)
    for name in _NOT_AT_TOP:
        top.pop(name, None)
    return {**top, "type": "object", "properties": dict(top.get("properties", {}))}


def _with_branches(top: dict[str, Any], keyword: str, whole: dict[str, Any]) -> dict[str, Any]:
    """Return an object with the properties of the forms that it may have, in place of them."""
    branches = [_members(one) for one in cast("list[object]", top.pop(keyword, []))]
    objects = [
        _members(_target(one["$ref"], whole)) if "$ref" in one else one for one in branches if one
    ]
    if not objects:
        return top
    properties = dict(top.get("properties", {}))
    for one in objects:
        for name, part in one.get("properties", {}).items():
            properties.setdefault(name, part)
    needed = [set(one.get("required", ())) for one in objects]
    common = set[str]().union(*needed) if keyword == "allOf" else set[str].intersection(*needed)
    required = dict.fromkeys([*top.get("required", ()), *sorted(common)])
    top.pop("additionalProperties", None)  # it speaks of the properties beside it alone
    return {**top, "properties": properties, "required": list(required)}


def _members(schema: object) -> dict[str, Any]:
    return dict(cast("dict[str, Any]", schema)) if isinstance(schema, dict) else {}


def _without_unknown(part: dict[str, Any]) -> dict[str, Any]:
    """Return one part with nothing in it that cannot be checked, and no stricter for that."""
    if "patternProperties" in part:
        part.pop("additionalProperties", None)
    if "prefixItems" in part:
        part.pop("items", None)
    if part.get("nullable") is True:
        return {}
    return {name: value for name, value in part.items() if json_schema.is_known(name)}


def _require_references(schema: object, whole: Mapping[str, Any]) -> None:
    if isinstance(schema, list):
        for one in cast("list[object]", schema):
            _require_references(one, whole)
    if not isinstance(schema, dict):
        return
    members = cast("dict[str, object]", schema)
    if isinstance(members.get("$ref"), str):
        _target(members["$ref"], whole)
    for one in members.values():
        _require_references(one, whole)


def _target(reference: object, whole: Mapping[str, Any]) -> Any:
    """Return the part that a reference leads to."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise UnusableSchema(f"the reference {reference!r:.80} does not point into the schema")
    target: Any = whole
    for step in reference[1:].split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, Mapping) or key not in target:
            raise UnusableSchema(f"the reference {reference!r:.80} points to nothing")
        target = cast("Mapping[str, Any]", target)[key]
    return target
