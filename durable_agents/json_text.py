"""Finds the JSON in an answer that was to be JSON: in a fence, after thoughts, after a mark. Pure.

It takes what can only be meant in one way. Where there are two values, or an end is missing, there
is none: to pick one would be a guess.
"""

import json
import math
import re
from typing import Any, NoReturn

_THOUGHTS = ("think", "thinking", "thought", "thoughts", "reasoning")
_OPENING = re.compile(rf"<({'|'.join(_THOUGHTS)})>", re.IGNORECASE)
_CLOSING = re.compile(rf"</({'|'.join(_THOUGHTS)})>", re.IGNORECASE)
_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*[A-Za-z0-9_+-]*")
# The byte order mark, which is no white space to Python.
_AROUND = " \t\r\n\ufeff"


def parse(text: str) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: It is no JSON, or has numbers that JSON cannot carry on.
        RecursionError: It is nested too deeply.
    """
    return json.loads(text, parse_constant=_no_constant, parse_float=_finite)


def found(text: str) -> str | None:
    """Return the part of an answer that is its JSON; None where there is none, or no single one."""
    whole = text.strip(_AROUND)
    if _is_json(whole):
        return whole
    rest = _after_thoughts(whole)
    if rest is None:
        return None
    inner = _out_of_fence(rest)
    return inner if _is_json(inner) else None


def _after_thoughts(text: str) -> str | None:
    """Return what follows the thoughts at the beginning; None if they have no end."""
    closing = _CLOSING.search(text)
    opening = _OPENING.search(text)
    if closing and (opening is None or closing.start() < opening.start()):
        # The server itself put the opening tag before the model's first word.
        text = text[closing.end() :].strip(_AROUND)
    while opening := _OPENING.match(text):
        end = _end_of_thoughts(text, opening[1].lower())
        if end is None:
            return None
        text = text[end:].strip(_AROUND)
    return text


def _end_of_thoughts(text: str, tag: str) -> int | None:
    depth = 0
    for mark in re.finditer(rf"<(/?){tag}>", text, re.IGNORECASE):
        depth += -1 if mark[1] else 1
        if depth == 0:
            return mark.end()
    return None


def _out_of_fence(text: str) -> str:
    opening = _FENCE.match(text)
    if opening is None:
        return text
    inner = text[opening.end() :].strip(_AROUND)
    # Some models leave the last fence out.
    return inner.removesuffix(opening[1]).strip(_AROUND)


def _is_json(text: str) -> bool:
    try:
        parse(text)
    except (ValueError, RecursionError):
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    # 1e999 is JSON, but Python's infinity is not: a flow that returned it would return no JSON.
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text:.20} is too large a number")
    return number
