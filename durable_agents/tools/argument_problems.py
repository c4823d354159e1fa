"""What a model is told about arguments that do not fit: which one, and what it should be. Pure.

The model's own words are hardly repeated: they may be long, and they come back in its next request.
"""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_MOST_PROBLEMS = 5
_MOST_NAMES = 20
_LONGEST_NAME = 60
_LONGEST = 300
_WORDS = {
    "string": "a text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def described(error: ValidationError, schema: Mapping[str, Any]) -> str:
    """Return what is wrong with the arguments of a call, each with what it should be.

    Args:
        error: What pydantic found.
        schema: The parameters.
    """
    details = error.errors(include_url=False, include_input=False)
    return listed(list(dict.fromkeys(_one(detail, schema) for detail in details)))


def listed(found: list[str]) -> str:
    """Return problems as one text, the first of them in full."""
    more = len(found) - _MOST_PROBLEMS
    shown = "; ".join(found[:_MOST_PROBLEMS])
    return f"{shown}; and {more} more" if more > 0 else shown


def one_line(words: str) -> str:
    """Return an author's words about arguments as one line of bounded length."""
    return " ".join(words.split())[:_LONGEST] or "the arguments are refused"


def _one(detail: ErrorDetails, schema: Mapping[str, Any]) -> str:
    place = detail["loc"]
    name = ".".join(f"{step!s:.{_LONGEST_NAME}}" for step in place)[:_LONGEST] or "arguments"
    part = _properties(schema).get(str(place[0])) if place else None
    wanted = f" (should be {_should_be(part, schema)})" if part else ""
    if detail["type"] == "extra_forbidden" and len(place) == 1:
        return f"{name}: there is no such parameter; {_parameters(schema)}"
    if detail["type"] == "missing":
        return f"{name}: is missing{wanted}"
    context = detail.get("ctx", {})
    if detail["type"] == "union_tag_invalid":
        # pydantic's own words quote what the model wrote.
        tag, allowed = str(context["discriminator"]).strip("'"), context["expected_tags"]
        return f"{name}.{tag}: should be one of {allowed!s:.{_LONGEST}}"
    words = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    words = words.replace("Input should be", "should be", 1)
    return f"{name}: {one_line(words)}{wanted if len(place) == 1 else ''}"


def _parameters(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    parts = [
        f"{name} ({_should_be(part, schema)}{'' if name in required else ', may be left out'})"
        for name, part in list(_properties(schema).items())[:_MOST_NAMES]
    ]
    return f"the parameters are {', '.join(parts)}" if parts else "the tool takes no parameters"


def _should_be(part: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> str:
    if "$ref" in part and depth < 3:
        name = str(part["$ref"]).rpartition("/")[2]
        return _should_be(schema.get("$defs", {}).get(name, {}), schema, depth + 1)
    if "enum" in part or "const" in part:
        choices: list[object] = part.get("enum", [part.get("const")])
        return "one of " + ", ".join(f"{one!r:.{_LONGEST_NAME}}" for one in choices[:_MOST_NAMES])
    branches: list[Mapping[str, Any]] = part.get("anyOf") or part.get("oneOf") or []
    if branches and depth < 3:
        return " or ".join(
            dict.fromkeys(_should_be(one, schema, depth + 1) for one in branches[:_MOST_NAMES])
        )
    kind = part.get("type")
    word = _WORDS.get(kind, "a value") if isinstance(kind, str) else "a value"
    return f"{word} ({part['format']})" if "format" in part else word


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return cast("Mapping[str, Mapping[str, Any]]", schema.get("properties", {}))
