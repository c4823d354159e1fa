"""Makes a small value that satisfies a JSON schema: the offline model's structured reply."""

import math
import re
from typing import Any, cast

_MAX_DEPTH = 64
_FORMATS = {
    "date-time": "2000-01-01T00:00:00Z",
    "date": "2000-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "placeholder@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/placeholder",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_REFERENCE = re.compile(r"#(/.*)?")

type Schema = dict[str, Any]


class NoValue(Exception):
    """No value could be made for a schema; the message says which part of it stands in the way."""


def value_for(schema: Schema, placeholder: str) -> Any:
    """Return a small value that satisfies `schema`; its texts are `placeholder` where they may be.

    Raises:
        NoValue: The schema has none, or asks for what cannot be made up (a pattern, say).
    """
    return _Maker(schema, placeholder).make(schema, 0)


class _Maker:
    """Makes values for the parts of one schema, whose references it follows."""

    def __init__(self, root: Schema, placeholder: str) -> None:
        self._root = root
        self._placeholder = placeholder

    def make(self, schema: Any, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise NoValue("the schema refers to itself without an end")
        if schema is True:
            return self._placeholder
        if not isinstance(schema, dict):
            raise NoValue("the schema allows no value" if schema is False else "not a schema")
        schema = self._merged(cast("Schema", schema), depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return self._any(schema, choice, depth)
        return self._of_type(schema, depth)

    def _merged(self, schema: Schema, depth: int) -> Schema:
        """Bring references and allOf into one schema."""
        for _ in range(_MAX_DEPTH):
            if "$ref" in schema:
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                schema = _both(self._resolve(str(schema["$ref"])), rest)
            elif schema.get("allOf"):
                first, *others = schema["allOf"]
                rest = {key: value for key, value in schema.items() if key != "allOf"}
                schema = _both(rest, first)
                if others:
                    schema["allOf"] = others
            else:
                return schema
        raise NoValue("the schema's references lead in a circle")

    def _resolve(self, reference: str) -> Schema:
        if not _REFERENCE.fullmatch(reference):
            raise NoValue(f"the reference {reference!r} leads out of the schema")
        found: Any = self._root
        for step in reference.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            found = cast("Schema", found).get(key) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            raise NoValue(f"the reference {reference!r} leads nowhere")
        return cast("Schema", found)

    def _any(self, schema: Schema, choice: str, depth: int) -> Any:
        rest = {key: value for key, value in schema.items() if key != choice}
        problem = NoValue(f"{choice} is empty")
        # The shortest first: `null` or a plain value ends a schema that refers to itself.
        for option in sorted(schema[choice], key=_weight):
            try:
                return self.make(_both(rest, option), depth + 1)
            except NoValue as error:
                problem = error
        raise problem

    def _of_type(self, schema: Schema, depth: int) -> Any:
        kind = schema.get("type") or ("object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kinds = cast("list[str]", kind)
            kind = next((name for name in kinds if name != "null"), "null")
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._text(schema)
            case "integer" | "number":
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return False
            case "null":
                return None
            case _:
                raise NoValue(f"the type {kind!r} is not one of JSON schema")

    def _object(self, schema: Schema, depth: int) -> Any:
        properties = cast("Schema", schema.get("properties") or {})
        required = cast("list[str]", schema.get("required") or [])
        rest = schema.get("additionalProperties", True)
        return {name: self.make(properties.get(name, rest), depth + 1) for name in required}

    def _array(self, schema: Schema, depth: int) -> Any:
        first = cast("list[Any]", schema.get("prefixItems") or [])
        length = max(int(schema.get("minItems", 0)), len(first))
        # One item where none is needed shows more of the shape, if an item can be made.
        items = schema.get("items", True)
        if length == 0 and schema.get("maxItems") != 0:
            try:
                return [self.make(items, depth + 1)]
            except NoValue:
                return []
        if schema.get("uniqueItems") and length > 1:
            raise NoValue("several different items cannot be made up")
        shapes = [*first, *([items] * (length - len(first)))]
        return [self.make(shape, depth + 1) for shape in shapes]

    def _text(self, schema: Schema) -> str:
        text = _FORMATS.get(str(schema.get("format")), self._placeholder)
        text = text.ljust(int(schema.get("minLength", 0)), ".")
        text = text[: int(schema.get("maxLength", len(text)))]
        pattern = schema.get("pattern")
        if pattern is not None and not re.search(str(pattern), text):
            raise NoValue(f"a text for the pattern {pattern!r} cannot be made up")
        return text


def _both(schema: Schema, other: Any) -> Schema:
    """Return a schema that asks for what both ask for, as far as that is usual."""
    if not isinstance(other, dict):
        return schema
    merged = {**schema, **cast("Schema", other)}
    for key in ("properties", "$defs"):
        if key in schema and key in other:
            merged[key] = {**schema[key], **other[key]}
    if "required" in schema and "required" in other:
        both = cast("list[str]", [*schema["required"], *other["required"]])
        merged["required"] = list(dict.fromkeys(both))
    return merged


def _weight(option: Any) -> int:
    if not isinstance(option, dict):
        return 1
    kind = cast("Schema", option).get("type")
    if kind == "null":
        return 1
    return 0 if kind in ("string", "integer", "number", "boolean") else 2


def _number(schema: Schema, *, whole: bool) -> int | float:
    step = float(schema.get("multipleOf", 1 if whole else 0)) or 0.0
    low, above = _bound(schema, "minimum", "exclusiveMinimum")
    high, below = _bound(schema, "maximum", "exclusiveMaximum")
    for candidate in _candidates(low, high, step):
        fits_low = low is None or (candidate > low if above else candidate >= low)
        fits_high = high is None or (candidate < high if below else candidate <= high)
        if fits_low and fits_high and (not whole or candidate == int(candidate)):
            return int(candidate) if whole else candidate
    raise NoValue("no number lies between the limits")


def _bound(schema: Schema, name: str, exclusive: str) -> tuple[float | None, bool]:
    if isinstance(schema.get(exclusive), int | float) and schema[exclusive] is not True:
        return float(schema[exclusive]), True
    if name in schema:
        return float(schema[name]), schema.get(exclusive) is True
    return None, False


def _candidates(low: float | None, high: float | None, step: float) -> list[float]:
    if step:
        first = math.ceil((low or 0.0) / step) * step
        last = first if high is None else math.floor(high / step) * step
        return [0.0, first, first + step, last, last - step]
    middle = (low + high) / 2 if low is not None and high is not None else 0.0
    return [0.0, low or 0.0, (low or 0.0) + 1, high or 0.0, (high or 0.0) - 1, middle]
