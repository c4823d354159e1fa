"""What a real server would refuse in a chat completions request. Pure.

The rules, by the numbers that the problems begin with:

    V1  each call of a tool is answered, before any other role, by exactly one message of it
    V2  no tool message without such a call
    V3  the ids of the calls in one message are different, and none is empty
    V4  `tool_calls` and `tools` are absent, or not empty
    V5  names of tools, calls and schemas have letters, digits, `_` and `-`, 64 at most; no two
        tools have one name
    V6  `arguments`, and what a tool's message says, are texts
    V7  an assistant's message has content or calls
    V8  the schema of parameters, or of an answer, has an object with `properties` at its top
    V9  the body is Unicode: no half of a surrogate pair is in it

Of a schema that is sent as strict they also say what strict servers refuse in it.
"""

import re
from collections.abc import Iterator
from typing import Any

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_STRICT = {
    *("type", "enum", "properties", "required", "additionalProperties", "items", "anyOf"),
    *("$ref", "$defs", "title", "description"),
}


def wire_problems(body: dict[str, Any]) -> list[str]:
    """Return what a server would refuse in the JSON body of a chat completions request.

    Returns:
        One text for each, which begins with the number of the rule; empty if it would be taken.
    """
    messages: list[dict[str, Any]] = list(body.get("messages") or ())
    return [
        *_calls_and_results(messages),
        *(problem for message in messages for problem in _of_message(message)),
        *_of_tools(body),
        *_of_form(body.get("response_format")),
        *(f"V9: half of a surrogate pair in {place}" for place in _not_unicode(body, "the body")),
    ]


def _calls_and_results(messages: list[dict[str, Any]]) -> Iterator[str]:
    wanted: list[object] = []
    for number, message in enumerate(messages):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in wanted:
                yield f"V2: message {number} answers no call"
            else:
                wanted.remove(message.get("tool_call_id"))
            continue
        if wanted:
            yield f"V1: no result for {wanted} before message {number}"
        wanted = [call.get("id") for call in message.get("tool_calls") or ()]
        if len(set(wanted)) < len(wanted) or not all(wanted):
            yield f"V3: the ids in message {number} are {wanted}"
    if wanted:
        yield f"V1: no result for {wanted}"


def _of_message(message: dict[str, Any]) -> Iterator[str]:
    content, calls = message.get("content"), message.get("tool_calls")
    if "tool_calls" in message and not calls:
        yield "V4: tool_calls is empty"
    for call in calls or ():
        function: dict[str, Any] = call.get("function") or {}
        if not _is_name(function.get("name")):
            yield f"V5: a call has the name {function.get('name')!r}"
        if not isinstance(function.get("arguments"), str):
            yield "V6: arguments are no text"
    if message.get("role") == "tool" and not isinstance(content, str):
        yield "V6: a result is no text"
    if message.get("role") == "assistant" and not content and not calls:
        yield "V7: an assistant's message has neither content nor calls"


def _of_tools(body: dict[str, Any]) -> Iterator[str]:
    if "tools" not in body:
        return
    functions: list[dict[str, Any]] = [tool.get("function") or {} for tool in body["tools"] or ()]
    if not functions:
        yield "V4: tools is empty"
    names = [function.get("name") for function in functions]
    if len(set(names)) < len(names):
        yield f"V5: two tools have one name: {names}"
    for function in functions:
        if not _is_name(function.get("name")):
            yield f"V5: a tool has the name {function.get('name')!r}"
        yield from _of_schema(function.get("parameters"), function.get("strict"))


def _of_form(form: dict[str, Any] | None) -> Iterator[str]:
    if form is None or form.get("type") != "json_schema":
        return
    described: dict[str, Any] = form.get("json_schema") or {}
    if not _is_name(described.get("name")):
        yield f"V5: the schema has the name {described.get('name')!r}"
    yield from _of_schema(described.get("schema"), described.get("strict"))


def _of_schema(schema: Any, strict: object) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield f"V8: {schema!r} is no schema"
        return
    whole: dict[str, Any] = schema  # pyright: ignore[reportUnknownVariableType]
    if whole.get("type") != "object" or "properties" not in whole:
        yield "V8: a schema has no object with properties at its top"
    if strict:
        yield from strict_problems(whole)


def strict_problems(schema: Any) -> Iterator[str]:
    """Return what a server refuses in a schema that is sent as strict."""
    if not isinstance(schema, dict):
        yield f"V8: {schema!r} is no schema with a type"
        return
    whole: dict[str, Any] = schema  # pyright: ignore[reportUnknownVariableType]
    if unknown := set(whole) - _STRICT:
        yield f"V8: the keywords {sorted(unknown)} in a strict schema"
    if "$ref" in whole and len(whole) > 1:
        yield f"V8: beside a $ref: {sorted(whole)}"
    if not {"type", "anyOf", "$ref"} & set(whole):
        yield f"V8: no type: {whole}"
    if whole.get("type") == "array" and "items" not in whole:
        yield "V8: an array without items"
    if whole.get("type") == "object":
        yield from _strict_object_problems(whole)
    inner: list[Any] = [*whole.get("properties", {}).values(), *whole.get("$defs", {}).values()]
    inner += whole.get("anyOf", [])
    inner += [whole["items"]] if "items" in whole else []
    for one in inner:
        yield from strict_problems(one)


def _strict_object_problems(schema: dict[str, Any]) -> Iterator[str]:
    properties = set(schema.get("properties", {}))
    if schema.get("additionalProperties") is not False:
        yield "V8: an open object in a strict schema"
    if set(schema.get("required", ())) != properties:
        yield f"V8: not all properties are required: {sorted(properties)}"


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _not_unicode(value: Any, place: str) -> Iterator[str]:
    match value:
        case str():
            if not _is_unicode(value):
                yield place
        case dict():
            members: dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
            for name, member in members.items():
                yield from _not_unicode(str(name), f"a name in {place}")
                yield from _not_unicode(member, str(name))
        case list() | tuple():
            items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
            for item in items:
                yield from _not_unicode(item, place)
        case _:
            pass


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
