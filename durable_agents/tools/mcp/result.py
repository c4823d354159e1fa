"""What an MCP server answered to a call, as the text that a model is told. Pure.

The server has done its work by then. Whatever it sent is told as far as it can be told: a part that
is of no known kind is no reason to call it failed, or to call it again.
"""

from collections.abc import Mapping
from typing import Any, cast

from durable_agents.sound_text import sound
from durable_agents.tools.json_text import written

NO_CONTENT = "(done; the server sent no content)"
NO_WORDS = "the tool failed, and the server did not say why"

_LONGEST_WORD = 200


def read_result(raw: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the text of a result, never empty, and whether the call failed.

    Images, sounds and files become notes with their type and size. Structured content is told as
    JSON where there is no text.

    Args:
        raw: The result of `tools/call`, as the server sent it.
    """
    if raw.get("resultType") == "input_required":
        return "the tool asks for more input in the middle of a call; nobody can give it here", True
    failed = raw.get("isError") is True
    content: object = raw.get("content")
    blocks = cast("list[object]", content) if isinstance(content, list) else []
    told = [_told(_members(block)) for block in blocks]
    structured: object = raw.get("structuredContent")
    if structured is not None and not any(is_text for _, is_text in told):
        told.append((_json(structured), True))
    text = sound("\n".join(text for text, _ in told if text.strip()))
    return text or (NO_WORDS if failed else NO_CONTENT), failed


def _told(block: Mapping[str, Any]) -> tuple[str, bool]:
    """Return what a part of the content says, and whether those are words of the server."""
    kind: object = block.get("type")
    text: object = block.get("text")
    match kind:
        case "text" if isinstance(text, str):
            return text, bool(text.strip())
        case "image" | "audio":
            return _note(str(kind), block, block.get("data")), False
        case "resource":
            return _resource(_members(block.get("resource")))
        case "resource_link":
            name = _word(block.get("name")) or "a resource"
            return f"[{name}: {_word(block.get('uri'))}]", False
        case _:
            return f"[content of the kind '{_word(kind)}', which cannot be told]", False


def _resource(resource: Mapping[str, Any]) -> tuple[str, bool]:
    text: object = resource.get("text")
    if isinstance(text, str):
        return text, bool(text.strip())
    return _note("file", resource, resource.get("blob")), False


def _note(what: str, block: Mapping[str, Any], data: object) -> str:
    kind = _word(block.get("mimeType")) or "of no known type"
    size = f"{_size(data):,} bytes" if isinstance(data, str) else "of no known size"
    uri = _word(block.get("uri"))
    place = f", {uri}" if uri else ""
    return f"[{what}: {kind}, {size}{place}; it is not shown here]"


def _size(base64: str) -> int:
    digits = "".join(base64.split()).rstrip("=")
    return len(digits) * 3 // 4


def _word(value: object) -> str:
    return " ".join(value.split())[:_LONGEST_WORD] if isinstance(value, str) else ""


def _members(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _json(value: object) -> str:
    try:
        return written(value)
    except (TypeError, ValueError, RecursionError):
        return "[structured content that cannot be written as JSON]"
