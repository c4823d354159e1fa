"""Makes of a pydantic class's schema one that servers hold their models to strictly. Pure.

Servers take a part of JSON schema for that: every object closed, every property required, no
`oneOf`, no `default`, nothing beside a `$ref`. What can be said in that part is said in it: unions
as `anyOf`, limits in the description. What the answer or the arguments then are is checked against
the class in any case.
"""

from collections.abc import Mapping
from typing import Any, cast

from durable_agents.json_schema import UnusableSchema, is_strict

# The limits of Azure OpenAI, which are the lowest.
_MOST_PROPERTIES = 100
_MOST_LEVELS = 5
_DEEPEST = 100
_MOST_PARTS = 5_000

_LIMITS = (
    "format",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
)
_LEFT_OUT = ("default", "discriminator", "examples", "deprecated", "$schema", "$comment", "$id")
# In this order: a bool is an int to Python.
_TYPES = {"string": str, "boolean": bool, "integer": int, "number": float, "null": type(None)}


def strict_schema(
    schema: Mapping[str, Any], *, optional_as_null: bool = False
) -> tuple[dict[str, Any], bool]:
    """Return the schema to send, and whether it can be sent as strict.

    Args:
        schema: A JSON schema as pydantic makes it; it is not changed.
        optional_as_null: Whether a property that may be left out becomes one that may be null, as
            is right for a tool's parameters. Otherwise it is required as it is.

    Returns:
        The strict form and True. Where there is none (a dict, a value of any kind, too large a
        schema), the schema as it was, but with its object at the top, and False.
    """
    plain = dict(schema)
    try:
        top = _at_top(plain)
        is_strict(top)  # goes through all of it: raises where a part is no schema
        strict = _Strict(top, optional_as_null).whole()
        usable = strict.get("type") == "object" and is_strict(strict) and _within_limits(strict)
    except (UnusableSchema, RecursionError, TypeError):
        return plain, False
    return (strict, True) if usable else (top, False)


class _Strict:
    """One schema on its way to its strict form."""

    def __init__(self, root: dict[str, Any], optional_as_null: bool) -> None:
        self._root = root
        self._optional_as_null = optional_as_null
        self._inlining: list[str] = []
        self._parts = 0

    def whole(self) -> dict[str, Any]:
        result = self._part({name: part for name, part in self._root.items() if name != "$defs"})
        # Those that are still referred to, from here or from one another.
        defs: dict[str, Any] = {}
        wanted = _references(result)
        while wanted:
            name = wanted.pop()
            if name not in defs:
                defs[name] = self._part(_definition(self._root, name))
                wanted += _references(defs[name])
        given = self._root.get("$defs", {})
        if defs:
            result["$defs"] = {name: defs[name] for name in given if name in defs}
        return result

    def _part(self, schema: Any) -> Any:
        if not isinstance(schema, Mapping):
            return schema
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise UnusableSchema(f"written out it has more than {_MOST_PARTS} parts")
        part = dict(cast("Mapping[str, Any]", schema))
        for name in _LEFT_OUT:
            part.pop(name, None)
        one_of_one = part.get("allOf")
        if isinstance(one_of_one, list) and len(cast("list[Any]", one_of_one)) == 1:
            part = {**cast("list[Any]", part.pop("allOf"))[0], **part}
        if "oneOf" in part and "anyOf" not in part:
            part["anyOf"] = part.pop("oneOf")
        if "$ref" in part and len(part) > 1:
            return self._merged(part)
        return self._with_inner(_with_type(_with_limits_described(part)))

    def _merged(self, part: dict[str, Any]) -> dict[str, Any]:
        """Return a reference and what stands beside it as one part without a reference."""
        name = _name_of(part["$ref"])
        if name in self._inlining:
            beside = {key: value for key, value in part.items() if key != "$ref"}
            return self._part({**beside, "anyOf": [{"$ref": part["$ref"]}]})
        self._inlining.append(name)
        beside = {key: value for key, value in part.items() if key != "$ref"}
        merged = self._part({**_definition(self._root, name), **beside})
        self._inlining.pop()
        return merged

    def _with_inner(self, part: dict[str, Any]) -> dict[str, Any]:
        if "anyOf" in part:
            part["anyOf"] = [self._part(one) for one in part["anyOf"]]
        if "items" in part:
            part["items"] = self._part(part["items"])
        if part.get("type") != "object":
            return part
        required = set(part.get("required", ()))
        properties: dict[str, Any] = {}
        for name, one in part.get("properties", {}).items():
            properties[name] = self._part(one)
            if self._optional_as_null and name not in required:
                properties[name] = _or_null(properties[name])
        if properties or part.get("additionalProperties") in (None, False):
            part["properties"] = properties
        part.setdefault("additionalProperties", False)
        part["required"] = list(properties)
        return part


def _at_top(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with its object at the top: a class that holds itself is a reference."""
    if "$ref" not in schema:
        return schema
    beside = {name: part for name, part in schema.items() if name != "$ref"}
    return {**_definition(schema, _name_of(schema["$ref"])), **beside}


def _or_null(part: dict[str, Any]) -> dict[str, Any]:
    choices = cast("list[dict[str, Any]] | None", part.get("anyOf"))
    if choices is not None:
        takes_null = any(one.get("type") == "null" for one in choices)
        return part if takes_null else {**part, "anyOf": [*choices, {"type": "null"}]}
    if part.get("type") == "null":
        return part
    told = {name: part[name] for name in ("title", "description") if name in part}
    bare = {name: value for name, value in part.items() if name not in told}
    return {**told, "anyOf": [bare, {"type": "null"}]}


def _with_limits_described(part: dict[str, Any]) -> dict[str, Any]:
    limits = {name: part.pop(name) for name in _LIMITS if name in part}
    if limits:
        told = "; ".join(f"{name}: {limit}" for name, limit in limits.items())
        part["description"] = f"{part['description']} ({told})" if "description" in part else told
    return part


def _with_type(part: dict[str, Any]) -> dict[str, Any]:
    """Return a choice of values as an `enum` with a type, as strict servers want it."""
    if "const" in part:
        part["enum"] = [part.pop("const")]
    if "enum" in part and "type" not in part:
        values = cast("list[object]", part["enum"])
        types = list(dict.fromkeys(map(_type_of, values)))
        part["type"] = types[0] if len(types) == 1 else types
    return part


def _type_of(value: object) -> str:
    kinds = (kind for kind, of in _TYPES.items() if isinstance(value, of))
    return next(kinds, "object")


def _within_limits(schema: Mapping[str, Any]) -> bool:
    parts = [schema, *schema.get("$defs", {}).values()]
    count = sum(map(_properties_in, parts))
    return count <= _MOST_PROPERTIES and _levels(schema, schema, {}) <= _MOST_LEVELS


def _inner(schema: Any) -> list[Any]:
    items = [schema["items"]] if "items" in schema else []
    return [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *items]


def _properties_in(schema: Any) -> int:
    return len(schema.get("properties", {})) + sum(map(_properties_in, _inner(schema)))


def _levels(schema: Any, root: Mapping[str, Any], known: dict[str, int]) -> int:
    """Return how deep objects are in one another; what comes back to itself goes no deeper."""
    if "$ref" in schema:
        name = _name_of(schema["$ref"])
        if name not in known:
            known[name] = 0  # while it is being found out
            known[name] = _levels(root["$defs"][name], root, known)
        return known[name]
    below = max((_levels(one, root, known) for one in _inner(schema)), default=0)
    return below + (schema.get("type") == "object")


def _references(value: object) -> list[str]:
    if isinstance(value, list):
        return [name for one in cast("list[object]", value) for name in _references(one)]
    if not isinstance(value, dict):
        return []
    members = cast("dict[str, object]", value)
    if isinstance(members.get("$ref"), str):
        return [_name_of(members["$ref"])]
    return [name for one in members.values() for name in _references(one)]


def _name_of(reference: object) -> str:
    if not isinstance(reference, str) or not reference.startswith("#/$defs/"):
        raise UnusableSchema(f"the reference {reference!r} does not point to a definition")
    return reference.removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")


def _definition(root: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a definition that is no mere reference to another one."""
    for _ in range(_DEEPEST):
        found = root.get("$defs", {}).get(name)
        if not isinstance(found, Mapping):
            raise UnusableSchema(f"there is no definition {name!r}")
        definition = dict(cast("Mapping[str, Any]", found))
        if set(definition) != {"$ref"}:
            return definition
        name = _name_of(definition["$ref"])
    raise UnusableSchema(f"the definition {name!r} refers to itself")
