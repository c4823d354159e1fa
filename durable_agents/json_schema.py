"""Checks JSON data against a JSON schema. Pure; used where an answer must have a given form.

It knows the keywords that model servers know for structured output, and refuses a schema with any
other: a keyword that was silently ignored would call an answer valid that is not.

Its time is bounded, whatever the schema: what was found of one value by one part of the schema is
kept, a part that comes back to itself for the same value has no answer there, patterns are matched
by an engine that does not try again (`patterns`), and the steps of a check are counted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, cast

from durable_agents import patterns
from durable_agents.patterns import UnusablePattern

type Schema = Mapping[str, Any] | bool

_DEEPEST = 60
# About a second's work. A long answer takes a few thousand steps.
_MOST_STEPS = 100_000
# So many of the steps of a pattern are as fast as one of ours.
_PATTERN_STEPS = 100
_MOST_PARTS = 10_000
# More would say nothing, and grow with every choice that repeats them.
_MOST_PROBLEMS = 50

_TYPES: dict[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "number": lambda value: _is_number(value),
    "integer": lambda value: _is_number(value) and cast("float", value).is_integer(),
}

_LIMITS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minLength": (lambda value, limit: len(value) >= limit, "is shorter than"),
    "maxLength": (lambda value, limit: len(value) <= limit, "is longer than"),
    "pattern": (lambda value, limit: patterns.found(limit, value), "does not match"),
    "minItems": (lambda value, limit: len(value) >= limit, "has fewer items than"),
    "maxItems": (lambda value, limit: len(value) <= limit, "has more items than"),
    "minimum": (lambda value, limit: value >= limit, "is less than"),
    "maximum": (lambda value, limit: value <= limit, "is more than"),
    "exclusiveMinimum": (lambda value, limit: value > limit, "is not more than"),
    "exclusiveMaximum": (lambda value, limit: value < limit, "is not less than"),
    "multipleOf": (lambda value, limit: _is_multiple(value, limit), "is not a multiple of"),
}
_LIMITS_OF = {
    "string": ("minLength", "maxLength", "pattern"),
    "array": ("minItems", "maxItems"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
_BRANCHES = ("anyOf", "oneOf", "allOf")
_STRUCTURE = ("type", "enum", "const", "properties", "required", "additionalProperties", "items")
_SHAPES = {"type", "enum", "anyOf", "$ref"}
_STRICT = {*_STRUCTURE, "anyOf", "$ref", "$defs", "title", "description"}
_NOTES = {"title", "description", "default", "examples", "format", "$schema", "$id", "$comment"}
_KNOWN = {*_STRUCTURE, *_BRANCHES, *_LIMITS, *_NOTES, "$ref", "$defs", "definitions", "deprecated"}


_NUMBER = (int, float)
# What the value of a keyword must be, where a wrong one would fail only in the middle of a check.
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("enum", "required", *_BRANCHES), list),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), int),
    **dict.fromkeys(_LIMITS_OF["number"], _NUMBER),
    **dict.fromkeys(("properties", "$defs", "definitions"), Mapping),
    "pattern": str,
    "type": (str, list),
}


class UnusableSchema(ValueError):
    """The schema itself cannot be used; the message says what is wrong with it."""


class _TooManySteps(Exception):
    pass


def problems(value: object, schema: Schema, name: str = "answer") -> list[str]:
    """Return what keeps `value` from being valid, each with its place; empty when it is valid.

    Args:
        value: JSON data.
        schema: The schema, a usable one.
        name: What the value is called in the places.
    """
    try:
        return _Check(schema).check(value, schema, name, 0)
    except _TooManySteps:
        return [f"{name} takes more than {_MOST_STEPS} steps to be checked; a simpler one may do"]


def require_usable(schema: Schema) -> None:
    """Go through every part of a schema.

    Raises:
        UnusableSchema: A part is no schema, has an unknown keyword or refers to what is not there.
    """
    parts = _parts(schema)
    places = {id(part) for part in parts}
    for part in parts:
        if isinstance(part, bool):
            continue
        unknown = sorted(set(part) - _KNOWN)
        if unknown:
            raise UnusableSchema(f"the keyword '{unknown[0]}' is not one that can be checked")
        if "$ref" in part and id(_resolve(part["$ref"], schema)) not in places:
            raise UnusableSchema(f"the reference {part['$ref']!r} points to what is no schema")
        _require_values(part)


def is_known(keyword: str) -> bool:
    """Return whether a schema with this keyword can be checked."""
    return keyword in _KNOWN


def is_strict(schema: Schema) -> bool:
    """Return whether a model server can be asked to hold itself strictly to the schema.

    Servers take only a part of JSON schema for that, and refuse a request that asks for more.
    """
    for part in _parts(schema):
        if part is False:
            continue
        if part is True or not set(part) <= _STRICT:
            return False
        if "$ref" in part and len(part) > 1:
            return False
        if not _SHAPES & set(part):  # a value of any kind
            return False
        if part.get("type") == "array" and "items" not in part:
            return False
        if part.get("type") == "object":
            closed = part.get("additionalProperties") is False
            if not closed or set(part.get("required", ())) != set(part.get("properties", {})):
                return False
    return True


class _Check:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._steps = 0
        # By part of the schema and place in the value. None while it is being found out.
        self._found: dict[tuple[int, str], list[str] | None] = {}
        self._depths: dict[tuple[int, str], int] = {}
        # The highest part that the one being checked came back to.
        self._came_back = _DEEPEST + 1

    def check(self, value: object, schema: Schema, place: str, depth: int) -> list[str]:
        if isinstance(schema, bool):
            return [] if schema else [f"{place} is not allowed"]
        if depth > _DEEPEST:
            return [f"{place} is nested too deeply"]
        self._step()
        key = (id(schema), place)
        if key in self._found:
            known = self._found[key]
            if known is not None:
                return known
            self._came_back = min(self._came_back, self._depths[key])
            return [f"{place} is described by what refers to itself"]
        self._found[key], self._depths[key] = None, depth
        elsewhere, self._came_back = self._came_back, _DEEPEST + 1
        found = self._check(value, schema, place, depth)[:_MOST_PROBLEMS]
        if self._came_back < depth:
            # Found out on the assumption that a part above says no: it may say yes in the end.
            del self._found[key]
            self._came_back = min(self._came_back, elsewhere)
        else:
            self._found[key] = found
            self._came_back = elsewhere
        return found

    def _step(self, count: int = 1) -> None:
        self._steps += count
        if self._steps > _MOST_STEPS:
            raise _TooManySteps

    def _check(self, value: object, schema: Mapping[str, Any], place: str, depth: int) -> list[str]:
        found: list[str] = []
        if "$ref" in schema:
            target = _resolve(schema["$ref"], self._root)
            found += self.check(value, target, place, depth + 1)
        wrong_type = _type_problem(value, schema, place)
        if wrong_type:
            return [*found, wrong_type]
        self._step((len(schema.get("enum", ())) + len(schema.get("required", ()))) // 10)
        if "pattern" in schema and isinstance(value, str):
            self._step(patterns.steps(schema["pattern"], value) // _PATTERN_STEPS)
        found += _choice_problems(value, schema, place)
        found += _limit_problems(value, schema, place)
        if isinstance(value, dict):
            found += self._object(cast("dict[str, object]", value), schema, place, depth)
        if isinstance(value, list) and "items" in schema:
            for index, item in enumerate(cast("list[object]", value)):
                found += self.check(item, schema["items"], f"{place}[{index}]", depth + 1)
        return found + self._branches(cast("object", value), schema, place, depth)

    def _object(
        self, value: dict[str, object], schema: Mapping[str, Any], place: str, depth: int
    ) -> list[str]:
        found = [
            f"{place} lacks the property '{name}'"
            for name in schema.get("required", ())
            if name not in value
        ]
        properties: Mapping[str, Schema] = schema.get("properties", {})
        others: Schema = schema.get("additionalProperties", True)
        for name, member in value.items():
            if name not in properties and others is False:
                found.append(f"{place} has the unknown property '{name}'")
                continue
            part = properties.get(name, others)
            found += self.check(member, part, f"{place}.{name}", depth + 1)
        return found

    def _branches(
        self, value: object, schema: Mapping[str, Any], place: str, depth: int
    ) -> list[str]:
        found: list[str] = []
        for keyword in _BRANCHES:
            if keyword not in schema:
                continue
            results = [self.check(value, part, place, depth + 1) for part in schema[keyword]]
            valid = sum(not result for result in results)
            if keyword == "allOf":
                found += [problem for result in results for problem in result]
            elif not valid:
                why = " | ".join(dict.fromkeys(" and ".join(result[:2]) for result in results))
                found.append(f"{place} has none of the allowed forms ({why:.300})")
            elif keyword == "oneOf" and valid > 1:
                found.append(f"{place} has more than one of the allowed forms")
        return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_multiple(value: float, of: float) -> bool:
    # In decimal fractions, as the two are written: 0.3 is a multiple of 0.1, and a model may well
    # write a number that is too large for a division.
    return Fraction(str(value)) % Fraction(str(of)) == 0


def _type_problem(value: object, schema: Mapping[str, Any], place: str) -> str | None:
    names: str | Sequence[str] = schema.get("type", ())
    allowed = [names] if isinstance(names, str) else list(names)
    if not allowed or any(_TYPES[name](value) for name in allowed):
        return None
    return f"{place} is not of type {' or '.join(allowed)}"


def _choice_problems(value: object, schema: Mapping[str, Any], place: str) -> list[str]:
    found: list[str] = []
    if "const" in schema and not _same(value, schema["const"]):
        found.append(f"{place} is not {schema['const']!r}")
    if "enum" in schema and not any(_same(value, choice) for choice in schema["enum"]):
        found.append(f"{place} is none of {schema['enum']!r}")
    return found


def _same(left: object, right: object) -> bool:
    # In Python 1 == True; in JSON it is not.
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _limit_problems(value: object, schema: Mapping[str, Any], place: str) -> list[str]:
    keywords = next((_LIMITS_OF[name] for name in _LIMITS_OF if _TYPES[name](value)), ())
    return [
        f"{place} {_LIMITS[keyword][1]} {schema[keyword]!r}"
        for keyword in keywords
        if keyword in schema and not _LIMITS[keyword][0](value, schema[keyword])
    ]


def _parts(schema: object) -> list[Schema]:
    """Return the schema and every schema in it."""
    parts: list[Schema] = []
    for part in _walk(schema, 0):
        parts.append(part)
        if len(parts) > _MOST_PARTS:
            raise UnusableSchema(f"it has more than {_MOST_PARTS} parts")
    return parts


def _walk(schema: object, depth: int) -> Iterator[Schema]:
    if isinstance(schema, bool):
        yield schema
        return
    if not isinstance(schema, Mapping):
        raise UnusableSchema(f"{schema!r:.80} is not a JSON schema")
    if depth > _DEEPEST:
        raise UnusableSchema(f"it is nested more than {_DEEPEST} deep")
    part = cast("Mapping[str, Any]", schema)
    _require_kinds(part)
    yield part
    inner: list[object] = []
    for name in ("properties", "$defs", "definitions"):
        inner += part.get(name, {}).values()
    for name in _BRANCHES:
        inner += part.get(name, [])
    inner += [part[name] for name in ("items", "additionalProperties") if name in part]
    for one in inner:
        yield from _walk(one, depth + 1)


def _require_kinds(part: Mapping[str, Any]) -> None:
    for keyword, kind in _KINDS.items():
        if keyword in part and not isinstance(part[keyword], kind):
            raise UnusableSchema(f"'{keyword}' has a value of the wrong kind")
    if any(not part[keyword] for keyword in _BRANCHES if keyword in part):
        raise UnusableSchema("a choice has nothing to choose from")


def _require_values(part: Mapping[str, Any]) -> None:
    names = part.get("type", [])
    for name in [names] if isinstance(names, str) else names:
        if not isinstance(name, str) or name not in _TYPES:
            raise UnusableSchema(f"the type {name!r} is not a JSON type")
    if part.get("multipleOf", 1) <= 0:
        raise UnusableSchema("'multipleOf' must be more than nothing")
    try:
        patterns.require_usable(part.get("pattern", ""))
    except UnusablePattern as error:
        pattern = repr(part["pattern"])
        raise UnusableSchema(f"the pattern {pattern:.80} cannot be used: {error}") from None


def _resolve(reference: object, root: Schema) -> Any:
    target: Any = root
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise UnusableSchema(f"the reference {reference!r} does not point into the schema")
    for step in reference[1:].split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, Mapping) or key not in target:
            raise UnusableSchema(f"the reference {reference!r} points to nothing")
        target = cast("Mapping[str, Any]", target)[key]
    return target
