"""Keeps the conversation of one run so small that a history can hold each of its requests. Pure.

A request brings all that was said in its run. Without a bound a run of many large results would
store them once for each of its turns, and come to the end of what its history may have.
"""

import json
from collections.abc import Sequence

from durable_agents.messages import Message

LARGEST = 700_000
"""What the messages of a run may have in bytes, as JSON in ASCII."""

_KEPT = 1_000
_CUT = "\n[cut: "


def bounded(messages: Sequence[Message], unseen: int, largest: int = LARGEST) -> list[Message]:
    """Return the messages of a run with results shortened, the oldest first, if there is too much.

    Each that is shortened says how large it was. Those that no model has seen yet are shortened
    last, and all to the same size.

    Args:
        messages: The messages.
        unseen: How many of the last ones no model has seen.
        largest: The bytes that they may have.
    """
    result = list(messages)
    sizes = [_stored(message.model_dump_json()) for message in result]
    too_much = sum(sizes) - largest
    new = len(result) - unseen
    for place in range(new):
        if too_much <= 0:
            return result
        too_much -= _shorten(result, place, _KEPT)
    if too_much > 0:
        share = max(_KEPT, (sum(sizes[new:]) - too_much) // max(1, unseen))
        for place in range(new, len(result)):
            _shorten(result, place, share)
    return result


def _shorten(messages: list[Message], place: int, most: int) -> int:
    """Shorten the result in a message; return how many bytes that saves."""
    message = messages[place]
    if message.result is None or (size := _stored(message.result.text)) <= most:
        return 0
    text, mark, note = message.result.text.rpartition(_CUT)
    if not mark:  # it has not been cut before
        text = message.result.text
        note = f"the whole result has {len(text.encode()):,} bytes in UTF-8]"
    end = _CUT + note
    kept = text[: max(0, len(text) * (most - len(end)) // size)] + end
    told = message.result.model_copy(update={"text": kept})
    messages[place] = message.model_copy(update={"result": told})
    return size - _stored(kept)


def _stored(text: str) -> int:
    return len(json.dumps(text))
