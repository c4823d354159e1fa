"""JSON as models write it: read leniently where the meaning is plain, and written in one form."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn, cast

from durable_agents.sound_text import sound, sound_data

_DEEPEST = 100


class NotAnObject(ValueError):
    """A text does not hold the JSON object that is wanted; the message says why."""


def read_object(text: str) -> dict[str, Any]:
    """Return the JSON object that a model wrote; an empty one for a blank text or `null`.

    Control characters in texts are taken as they are. An object that was written as a JSON text
    once more is unwrapped.

    Raises:
        NotAnObject: There is no such object.
    """
    text = sound(text).strip().removeprefix("\ufeff").strip()
    if not text:
        return {}
    value = _parsed(text)
    if isinstance(value, str):
        value = _unwrapped(value)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise NotAnObject(
            f"the arguments must be a JSON object with the parameters by name, not {_kind(value)}"
        )
    return cast("dict[str, Any]", value)


def read_value(text: str) -> Any:
    """Return the JSON value that a text holds, or None where it holds none."""
    try:
        return _parsed(text)
    except NotAnObject:
        return None


def written(value: object) -> str:
    """Return JSON data as text, on one line, in the order of its keys."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def fingerprint(tool_name: str, arguments: str) -> str:
    """Return the SHA-256 of a call, in hexadecimal: the same for the same tool and arguments.

    Order of keys and white space do not count.
    """
    try:
        canonical = json.dumps(json.loads(arguments), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        canonical = arguments
    whole = f"{tool_name}\n{canonical}"
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def _parsed(text: str) -> Any:
    decoder = json.JSONDecoder(strict=False, parse_constant=_no_constant, parse_float=_finite)
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}, character {error.pos}"
        raise NotAnObject(f"the arguments are not valid JSON: {error.msg} ({place})") from None
    except RecursionError:
        raise NotAnObject("the arguments are nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise NotAnObject(f"the arguments are not valid JSON: {error!s:.100}") from None
    if _is_deep(value, 0):
        raise NotAnObject("the arguments are nested too deeply")
    return sound_data(value)


def _unwrapped(text: str) -> object:
    value = read_value(text)
    return cast("object", value) if isinstance(value, dict) else text


def _is_deep(value: object, depth: int) -> bool:
    if depth > _DEEPEST:
        return True
    if isinstance(value, dict):
        value = list(cast("Mapping[str, object]", value).values())
    if not isinstance(value, list):
        return False
    return any(_is_deep(one, depth + 1) for one in cast("list[object]", value))


def _kind(value: object) -> str:
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str):
        return "a text"
    return "true or false" if isinstance(value, bool) else "a number"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text:.20} is too large a number")
    return number
