"""What is wrong with a chat completions request, by the rules that real servers hold to."""

import json
import re
from collections.abc import Iterator
from typing import Any

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def faults_of(body: dict[str, Any]) -> list[str]:
    """Return the rules that a request breaks; empty when a server takes it."""
    messages = body["messages"]
    return [
        *_calls_and_results(messages),
        *(fault for message in messages for fault in _of_message(message)),
        *_of_tools(body),
        *_of_form(body.get("response_format")),
        *_of_text(body),
    ]


def _calls_and_results(messages: list[dict[str, Any]]) -> Iterator[str]:
    wanted: list[str] = []
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in wanted:
                yield f"V2: message {number} answers no call"
            else:
                wanted.remove(message["tool_call_id"])
            continue
        if wanted:
            yield f"V1: no result for {wanted} before message {number}"
        wanted = [call["id"] for call in message.get("tool_calls", ())]
        if len(set(wanted)) < len(wanted) or not all(wanted):
            yield f"V3: the ids in message {number} are {wanted}"
    if wanted:
        yield f"V1: no result for {wanted}"


def _of_text(body: dict[str, Any]) -> Iterator[str]:
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        yield "V9: half of a surrogate pair"


def _of_message(message: dict[str, Any]) -> Iterator[str]:
    content, calls = message.get("content"), message.get("tool_calls")
    if calls is not None and not calls:
        yield "V4: tool_calls is empty"
    for call in calls or ():
        function = call["function"]
        if not NAME.fullmatch(function["name"]):
            yield f"V5: a call has the name {function['name']!r}"
        if not isinstance(function["arguments"], str):
            yield "V6: arguments are no text"
    if message["role"] == "tool" and not isinstance(content, str):
        yield "V6: a result is no text"
    if message["role"] == "assistant" and not content and not calls:
        yield "V7: an assistant's message has neither content nor calls"


def _of_tools(body: dict[str, Any]) -> Iterator[str]:
    tools = body.get("tools")
    if tools is not None and not tools:
        yield "V4: tools is empty"
    names = [tool["function"]["name"] for tool in tools or ()]
    if len(set(names)) < len(names):
        yield f"V5: two tools have one name: {names}"
    for tool in tools or ():
        if not NAME.fullmatch(tool["function"]["name"]):
            yield f"V5: a tool has the name {tool['function']['name']!r}"
        yield from _of_schema(tool["function"]["parameters"], tool["function"].get("strict"))


def _of_form(form: dict[str, Any] | None) -> Iterator[str]:
    if form is None or form["type"] != "json_schema":
        return
    described = form["json_schema"]
    if not NAME.fullmatch(described["name"]):
        yield f"V5: the schema has the name {described['name']!r}"
    if described.get("strict"):
        yield from _of_schema(described["schema"], strict=True)


def _of_schema(schema: dict[str, Any], strict: object) -> Iterator[str]:
    if schema.get("type") != "object" or "properties" not in schema:
        yield "V8: a schema has no object with properties at its top"
    if strict:
        yield from strict_faults(schema)


STRICT = {
    *("type", "enum", "properties", "required", "additionalProperties", "items", "anyOf"),
    *("$ref", "$defs", "title", "description"),
}


def strict_faults(schema: Any) -> Iterator[str]:
    """Return what a server refuses in a schema that is sent as strict."""
    if not isinstance(schema, dict):
        yield f"{schema!r} is no schema with a type"
        return
    if unknown := set(schema) - STRICT:
        yield f"the keywords {sorted(unknown)}"
    if "$ref" in schema and len(schema) > 1:
        yield f"beside a $ref: {sorted(schema)}"
    if not {"type", "anyOf", "$ref"} & set(schema):
        yield f"no type: {schema}"
    if schema.get("type") == "array" and "items" not in schema:
        yield "an array without items"
    if schema.get("type") == "object":
        yield from _strict_object_faults(schema)
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    inner += schema.get("anyOf", [])
    if "items" in schema:
        inner.append(schema["items"])
    for one in inner:
        yield from strict_faults(one)


def _strict_object_faults(schema: dict[str, Any]) -> Iterator[str]:
    if schema.get("additionalProperties") is not False:
        yield "an open object"
    if set(schema.get("required", ())) != set(schema.get("properties", {})):
        yield f"not all properties are required: {sorted(schema.get('properties', {}))}"
