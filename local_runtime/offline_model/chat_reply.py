"""Writes an answer as a chat completion, whole or in pieces."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from local_runtime.offline_model.conversation import Answer, Asked

REPLY_MODEL = "offline-canned (not a real model)"

_CHARS_PER_TOKEN = 4
_PIECES = re.compile(r"\S+\s*|\s+")


def completion(asked: Asked, answer: Answer, number: int, created: int) -> dict[str, Any]:
    """Return the whole reply.

    Args:
        asked: What it is the reply to.
        answer: What it says.
        number: Makes its ids different from those of other replies.
        created: When it was made, in seconds since 1970.
    """
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if answer.calls else answer.text,
        "refusal": None,
    }
    if answer.calls:
        message["tool_calls"] = _calls(answer, number)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
    return {
        **_head(number, created, "chat.completion"),
        "choices": [choice],
        "usage": _usage(asked, answer),
    }


def pieces(
    asked: Asked, answer: Answer, number: int, created: int, *, with_usage: bool
) -> Iterator[bytes]:
    """Yield the reply as events of a stream, a word in each."""
    head = _head(number, created, "chat.completion.chunk")

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**head, "choices": [choice]})

    yield event({"role": "assistant", "content": None if answer.calls else ""})
    for piece in _PIECES.findall(answer.text):
        yield event({"content": piece})
    for index, call in enumerate(_calls(answer, number)):
        function = call["function"]
        begun = {**call, "index": index, "function": {**function, "arguments": ""}}
        yield event({"tool_calls": [begun]})
        for piece in _PIECES.findall(function["arguments"]):
            yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield event({}, _finish(answer))
    if with_usage:
        yield _event({**head, "choices": [], "usage": _usage(asked, answer)})
    yield b"data: [DONE]\n\n"


def tokens(characters: int) -> int:
    """Return about how many tokens a text of this length would be."""
    return math.ceil(characters / _CHARS_PER_TOKEN)


def _calls(answer: Answer, number: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_offline_{number}_{index}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(answer.calls, 1)
    ]


def _finish(answer: Answer) -> str:
    return "tool_calls" if answer.calls else "stop"


def _head(number: int, created: int, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-offline-{number}",
        "object": kind,
        "created": created,
        "model": REPLY_MODEL,
    }


def _usage(asked: Asked, answer: Answer) -> dict[str, int]:
    prompt, made = tokens(asked.prompt_chars), tokens(answer.characters)
    return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}


def _event(document: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(document, ensure_ascii=False)}\n\n".encode()
