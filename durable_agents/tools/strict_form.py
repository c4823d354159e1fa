"""The form of a tool's parameters in which a model server can be asked to hold the model to it."""

from collections.abc import Collection, Mapping
from typing import Any

from durable_agents.strict_schema import strict_schema


def strict_form(
    schema: Mapping[str, Any], nullable: Collection[str]
) -> tuple[dict[str, Any], bool]:
    """Return the schema in strict form and True, or as it is and False where it has none.

    In strict form every property is required. So a parameter with a default may be null there,
    which stands for its default.

    Args:
        schema: The parameters, an object.
        nullable: Those that take null as a value of their own.
    """
    required = set(schema.get("required", ()))
    properties: dict[str, Any] = {
        name: part if name in required or name in nullable else _or_null(part)
        for name, part in schema.get("properties", {}).items()
    }
    form, strict = strict_schema({**schema, "properties": properties})
    return (form, True) if strict else (dict(schema), False)


def _or_null(part: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in part.items() if name in {"description", "title"}}
    inner = {name: value for name, value in part.items() if name not in {*kept, "default"}}
    return {**kept, "anyOf": [inner, {"type": "null"}]}
