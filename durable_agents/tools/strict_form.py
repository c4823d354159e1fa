"""The form of a tool's parameters in which a model server can be asked to hold the model to it."""

from collections.abc import Collection, Mapping
from typing import Any, cast

from durable_agents import json_schema


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
    form = cast("dict[str, Any]", json_schema.closed(_plain({**schema, "properties": properties})))
    return (form, True) if json_schema.is_strict(form) else (dict(schema), False)


def _or_null(part: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in part.items() if name in {"description", "title"}}
    inner = {name: value for name, value in part.items() if name not in {*kept, "default"}}
    return {**kept, "anyOf": [inner, {"type": "null"}]}


def _plain(part: Any) -> Any:
    """Return a schema without what strict servers refuse, where the same can be said otherwise."""
    if isinstance(part, list):
        return [_plain(one) for one in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    result = dict(cast("dict[str, Any]", part))
    for name in ("properties", "$defs"):
        if isinstance(result.get(name), dict):
            result[name] = {key: _plain(one) for key, one in result[name].items()}
    for name in ("items", "anyOf", "oneOf"):
        if name in result:
            result[name] = _plain(result[name])
    if "oneOf" in result and "anyOf" not in result:
        result["anyOf"] = result.pop("oneOf")
        result.pop("discriminator", None)
    result.pop("default", None)
    if "const" in result:
        result["enum"] = [result.pop("const")]
    if "$ref" in result and len(result) > 1:
        result["anyOf"] = [{"$ref": result.pop("$ref")}]
    return result
