"""Reads the tools that a model asks for, into calls that every server takes back. Pure.

What is invented is kept, under a name that servers take, so that the model can be told of it.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, cast

from durable_agents.messages import ToolCall
from durable_agents.sound_text import sound

# The wrapper in which some models put calls that are to run side by side.
_PARALLEL = "multi_tool_use.parallel"
# The namespace under which some models were told of their tools.
_NAMESPACE = "functions."
_NO_NAME = "unnamed"
_LONGEST_NAME = 64
_LONGEST_ID = 40
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


@dataclass(frozen=True)
class RawCall:
    """A call as a server sent it; any of the three may be missing or of another type."""

    id: object
    name: object
    arguments: object


def read_calls(raw: list[RawCall]) -> tuple[ToolCall, ...]:
    """Return the calls, with ids that differ and are not empty, legal names, and texts.

    `multi_tool_use.parallel` becomes the calls that are in it. The ids depend on the reply alone.
    """
    calls: list[ToolCall] = []
    taken: set[str] = set()
    for call in (inner for one in raw for inner in _unwrapped(one)):
        call_id = _free_id(_text(call.id), len(calls) + 1, taken)
        taken.add(call_id)
        calls.append(
            ToolCall(id=call_id, name=clean_name(call.name), arguments=_arguments(call.arguments))
        )
    return tuple(calls)


def clean_name(name: object) -> str:
    """Return a tool's name with the characters that servers take, 1 to 64 of them."""
    # What begins with `<|` is a token of the model's own format that leaked into the name.
    plain = _text(name).split("<|")[0].strip().removeprefix(_NAMESPACE).strip()
    return _NOT_IN_NAMES.sub("_", plain)[:_LONGEST_NAME] or _NO_NAME


def _unwrapped(call: RawCall) -> list[RawCall]:
    if _text(call.name).strip().removeprefix(_NAMESPACE) != _PARALLEL:
        return [call]
    uses = _uses(call.arguments)
    if not uses:
        return [call]  # told to the model as a tool that there is not
    own = _text(call.id)
    return [
        RawCall(f"{own}-{number}" if own else "", use["recipient_name"], use.get("parameters"))
        for number, use in enumerate(uses, 1)
    ]


def _uses(arguments: object) -> list[dict[str, Any]]:
    """Return the calls in a wrapper; none if any of them is not one, since none may be lost."""
    try:
        given: object = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        return []
    uses = cast("dict[str, object]", given).get("tool_uses") if isinstance(given, dict) else None
    if not isinstance(uses, list):
        return []
    found = [
        cast("dict[str, Any]", use)
        for use in cast("list[object]", uses)
        if isinstance(use, dict) and _text(cast("dict[str, Any]", use).get("recipient_name"))
    ]
    return found if len(found) == len(cast("list[object]", uses)) else []


def _arguments(given: object) -> str:
    if given is None:
        return "{}"
    if not isinstance(given, str):  # some servers send the object itself
        return sound(json.dumps(given, ensure_ascii=False))
    text = sound(given)
    return "{}" if text.strip() in ("", "null") else text


def _free_id(wanted: str, number: int, taken: set[str]) -> str:
    base = wanted.strip()[:_LONGEST_ID] or f"call-{number}"
    free, more = base, 1
    while free in taken:
        more += 1
        end = f"-{more}"
        free = base[: _LONGEST_ID - len(end)] + end
    return free


def _text(value: object) -> str:
    if isinstance(value, bool):
        return ""
    return sound(str(value)) if isinstance(value, str | int) else ""
