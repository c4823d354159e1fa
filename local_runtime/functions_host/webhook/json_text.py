"""JSON that others wrote: checked where it comes in, and read where it is shown."""

import json
from typing import NoReturn

_INVALID = (ValueError, RecursionError)


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
        # A number beyond a double's range is read as infinity, which no JSON can hold again.
        json.dumps(value, allow_nan=False)
    except _INVALID:
        return stored
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON.")
