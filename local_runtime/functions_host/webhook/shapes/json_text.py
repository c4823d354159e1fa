"""JSON that others wrote: checked where it comes in, and read where it is shown."""

import json
from typing import NoReturn

_INVALID = (ValueError, RecursionError)
# How deep the replies put a value that is shown: it must be writable there, too.
_ENVELOPES = 8


def check(body: bytes) -> str | None:
    """Return the JSON text of a request's body, unchanged; None for an empty body.

    Raises:
        ValueError: The body is not JSON in UTF-8.
    """
    if not body:
        return None
    text = body.decode("utf-8-sig")
    try:
        json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("The JSON is nested too deeply.") from error
    return text


def parse(stored: str) -> object:
    """Return what a stored text means: its JSON value, or the text itself if it is not JSON."""
    try:
        value: object = json.loads(stored, parse_constant=_refuse)
        enveloped = value
        for _ in range(_ENVELOPES):
            enveloped = [enveloped]
        # A number beyond a double's range is read as infinity, which no JSON can hold again.
        json.dumps(enveloped, allow_nan=False)
    except _INVALID:
        return stored
    return value


def is_json(stored: str) -> bool:
    """Whether a stored text is JSON."""
    try:
        json.loads(stored, parse_constant=_refuse)
    except _INVALID:
        return False
    return True


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON.")
