"""What a server that holds models strictly to a schema takes, after Azure's list of keywords."""

from collections.abc import Iterator
from typing import Any

ALLOWED = {
    "type", "enum", "anyOf", "properties", "required", "additionalProperties", "items", "$ref",
    "$defs", "title", "description",
}  # fmt: skip
TYPES = {"string", "number", "boolean", "integer", "object", "array", "null"}


def refusals(schema: dict[str, Any]) -> list[str]:
    """Return why such a server refuses the schema; nothing if it takes it."""
    found = [] if schema.get("type") == "object" else ["no object at the top"]
    for part in _parts(schema):
        found += [f"keyword {name}" for name in set(part) - ALLOWED]
        if "$ref" in part and len(part) > 1:
            found.append("a $ref has siblings")
        if "type" in part and part["type"] not in TYPES:
            found.append(f"type {part['type']}")
        if part.get("type") == "object" and part.get("additionalProperties") is not False:
            found.append("an object is not closed")
        if set(part.get("required", ())) != set(part.get("properties", ())):
            found.append("a property is not required")
    return found


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    inner += schema.get("anyOf", [])
    inner += [schema["items"]] if "items" in schema else []
    for one in inner:
        yield from _parts(one)
