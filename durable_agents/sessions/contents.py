"""Messages in the published form of durable agent state, and back. Pure.

What the form has no field for is under `extensionData`. A text stays a text; the arguments of a
call are an object there, as the form wants it, but come back as the very text that they were.
"""

import json
from math import isfinite
from typing import Any, cast

from durable_agents.messages import ImagePart, Message, Part, TextPart, ToolCall, ToolResult

type Json = dict[str, Any]

EXTENSION = "extensionData"
ROLES = ("system", "user", "assistant", "tool")
# In an object that is read, the SDK takes such keys for its own.
RESERVED_PREFIX = "__"
DEEPEST = 50


def message_document(message: Message, at: str) -> Json:
    """Return a message as the published form has it."""
    contents = [part_document(part) for part in message.parts]
    contents += [call_document(call) for call in message.calls]
    if message.result is not None:
        contents.append(result_document(message.result))
    document: Json = {"role": message.role, "contents": contents, "createdAt": at}
    return document | ({"authorName": message.author} if message.author else {})


def part_document(part: Part) -> Json:
    """Return a text or an image as the published form has it."""
    if isinstance(part, TextPart):
        return {"$type": "text", "text": part.text}
    if part.url.startswith("data:"):
        media = part.url[5:].split(",", 1)[0].split(";", 1)[0] or "text/plain"
        document: Json = {"$type": "data", "uri": part.url, "mediaType": media}
    else:
        document = {"$type": "uri", "uri": part.url, "mediaType": "image/*"}
    return document | ({EXTENSION: {"detail": part.detail}} if part.detail else {})


def call_document(call: ToolCall) -> Json:
    """Return a call as the published form has it: its arguments are an object."""
    document: Json = {"$type": "functionCall", "callId": call.id, "name": call.name}
    arguments = plain_object(call.arguments)
    document["arguments"] = arguments or {}
    if arguments is None or compact_text(arguments) != call.arguments:
        spaced = arguments is not None and spaced_text(arguments) == call.arguments
        document[EXTENSION] = {"spaced": True} if spaced else {"arguments": call.arguments}
    return document


def result_document(result: ToolResult) -> Json:
    """Return the result of a call as the published form has it."""
    extension: Json = {"name": result.name}
    extension |= {"isError": True} if result.is_error else {}
    extension |= {"handoff": True} if result.handoff else {}
    return {
        "$type": "functionResult",
        "callId": result.call_id,
        "result": result.text,
        EXTENSION: extension,
    }


def plain_object(text: str) -> Json | None:
    """Return the JSON object that a text is, None if it is none or cannot be kept as one."""
    try:
        parsed = as_object(cast("object", json.loads(text, parse_constant=refuse)))
        return parsed if is_plain(parsed) else None
    except (ValueError, RecursionError):
        return None


def refuse(constant: str) -> None:
    """Refuse `NaN` and its like, which are not JSON.

    Raises:
        ValueError: Always.
    """
    raise ValueError(constant)


def is_plain(value: object, depth: int = 0) -> bool:
    """Whether every reader reads a value as it is."""
    if depth > DEEPEST:
        return False
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return all(
            not key.startswith(RESERVED_PREFIX) and is_plain(key) and is_plain(member, depth + 1)
            for key, member in members.items()
        )
    if isinstance(value, list):
        return all(is_plain(member, depth + 1) for member in cast("list[object]", value))
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
    return not isinstance(value, float) or isfinite(value)


def compact_text(value: Json) -> str:
    """Return JSON without spaces, as most servers write arguments."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def spaced_text(value: Json) -> str:
    """Return JSON with spaces, as the others do."""
    return json.dumps(value, ensure_ascii=False)


def message_of(document: object, names: dict[str, str]) -> Message | None:
    """Return the message that a document is, without contents that a message cannot have.

    Args:
        document: What `message_document` made, or another writer of the published form.
        names: The tools by the ids of their calls so far; calls of this message are added.
    """
    fields = as_object(document)
    role = fields.get("role")
    if role not in ROLES:
        return None
    parts: list[Part] = []
    calls: list[ToolCall] = []
    result: ToolResult | None = None
    for content in as_objects(fields.get("contents")):
        match content.get("$type"):
            case "text":
                parts.append(TextPart(text=as_text(content.get("text"))))
            case "data" | "uri":
                detail = as_text(as_object(content.get(EXTENSION)).get("detail"))
                parts.append(ImagePart(url=as_text(content.get("uri")), detail=detail))
            case "functionCall":
                calls.append(call_of(content))
                names[calls[-1].id] = calls[-1].name
            case "functionResult":
                result = result_of(content, names)
            case _:
                continue
    author = as_text(fields.get("authorName"))
    return Message(role=role, parts=tuple(parts), calls=tuple(calls), result=result, author=author)


def call_of(content: Json) -> ToolCall:
    """Return the call that a content is."""
    extension = as_object(content.get(EXTENSION))
    arguments = as_object(content.get("arguments"))
    text = spaced_text(arguments) if extension.get("spaced") else compact_text(arguments)
    kept = extension.get("arguments")
    return ToolCall(
        id=as_text(content.get("callId")),
        name=as_text(content.get("name")),
        arguments=kept if isinstance(kept, str) else text,
    )


def result_of(content: Json, names: dict[str, str]) -> ToolResult:
    """Return the result that a content is."""
    extension = as_object(content.get(EXTENSION))
    call_id = as_text(content.get("callId"))
    value = content.get("result")
    name = extension.get("name")
    return ToolResult(
        call_id=call_id,
        name=name if isinstance(name, str) else names.get(call_id, ""),
        text=value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
        is_error=bool(extension.get("isError")),
        handoff=bool(extension.get("handoff")),
    )


def as_object(value: object) -> Json:
    """Return a JSON object, an empty one for anything else."""
    return cast("Json", value) if isinstance(value, dict) else {}


def as_objects(value: object) -> list[Json]:
    """Return the objects of a JSON list, none for anything else."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Json", item) for item in items if isinstance(item, dict)]


def as_text(value: object) -> str:
    """Return a text, an empty one for anything else."""
    return value if isinstance(value, str) else ""


def as_count(value: object) -> int:
    """Return a whole number, zero for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
