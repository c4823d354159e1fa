"""What a tool returned, as the text that a model is told. Pure, and made once per call.

The tool has done its work by then: a result that cannot be written is told as such, and is no
reason to call the tool again.
"""

import base64
import dataclasses
import enum
import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pydantic_core
from pydantic import BaseModel

from durable_agents.sound_text import sound
from durable_agents.tools.json_text import written

NO_RESULT = "(done; there is no result)"
EMPTY_RESULT = "(done; the result is an empty text)"

_DEEPEST = 100
_LONGEST_STEP_BACK = 32
_JOINERS = {"\u200d", "\ufe0e", "\ufe0f"}


class UnwritableResult(Exception):
    """A result cannot be told to a model; the message says why, with the Python type."""


def result_text(value: object) -> str:
    """Return a result as text, never empty. A text stays as it is; all else is JSON or one word.

    Dates are ISO 8601, decimals and ids are texts, sets are arrays in a stable order, bytes are
    base64 with a note, NaN and infinities are texts.

    Raises:
        UnwritableResult: It has no such form.
    """
    if value is None:
        return NO_RESULT
    try:
        plain = _Plain().of(value)
        # Without quotes, where nothing can be mistaken: NaN is no number in JSON.
        bare = isinstance(plain, str) and not isinstance(value, float)
        text = plain if bare else written(plain)
    except UnwritableResult:
        raise
    except Exception as error:  # of the value's own methods
        raise UnwritableResult(
            f"a value of type {_name(value)} cannot be written ({type(error).__name__})"
        ) from error
    return sound(text) if text.strip() else EMPTY_RESULT


def shortened(text: str, most_bytes: int, place: str = "") -> str:
    """Return a text of at most so many bytes of UTF-8; one that is cut says how large it was.

    Args:
        text: The text.
        most_bytes: The most that is returned.
        place: Where the whole text is kept, if it is.
    """
    size = len(text.encode())
    if size <= most_bytes:
        return text
    where = f"; all of it is kept as {place}" if place else ""
    note = f"\n[cut: the whole result has {size:,} bytes in UTF-8{where}]"
    room = max(0, most_bytes - len(note.encode()))
    kept = text.encode()[:room].decode("utf-8", "ignore")
    return kept[: _whole_characters(text, len(kept))] + note


def _whole_characters(text: str, at: int) -> int:
    """Return a place not after `at` where no character is parted from its accents."""
    for place in range(at, max(0, at - _LONGEST_STEP_BACK), -1):
        if not unicodedata.combining(text[place]) and not {text[place], text[place - 1]} & _JOINERS:
            return place
    return at


class _Plain:
    """Makes JSON data of Python data, and notices what contains itself."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def of(self, value: object) -> Any:
        if value is None or isinstance(value, bool):
            return value
        scalar = _scalar(value)
        if scalar is not None:
            return scalar
        if id(value) in self._open:
            raise UnwritableResult(f"a value of type {_name(value)} contains itself")
        if len(self._open) >= _DEEPEST:
            raise UnwritableResult(f"a value of type {_name(value)} is nested too deeply")
        self._open.add(id(value))
        try:
            return self._inside(value)
        finally:
            self._open.discard(id(value))

    def _inside(self, value: object) -> Any:
        if isinstance(value, BaseModel):
            return self.of(_members(value))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value)]
            return {name: self.of(getattr(value, name)) for name in names}
        if isinstance(value, Mapping):
            return self._object(cast("Mapping[object, object]", value))
        if isinstance(value, Set):
            # In the order of what is written: a set has none, and another process another one.
            return sorted(map(self.of, cast("Set[object]", value)), key=written)
        if isinstance(value, Sequence):
            return [self.of(one) for one in cast("Sequence[object]", value)]
        if isinstance(value, Iterator):
            kind = _name(cast("object", value))
            raise UnwritableResult(f"a value of type {kind} can be read only once")
        return self._other(value)

    def _object(self, value: Mapping[object, object]) -> Any:
        pairs = [(self._key(key), self.of(one)) for key, one in value.items()]
        if len({key for key, _ in pairs}) < len(pairs):
            return [[self.of(key), self.of(one)] for key, one in value.items()]
        return dict(pairs)

    def _key(self, key: object) -> str:
        plain = self.of(key)
        return plain if isinstance(plain, str) else written(plain)

    def _other(self, value: object) -> Any:
        try:
            known = pydantic_core.to_jsonable_python(value, serialize_unknown=False)
        except Exception:
            raise UnwritableResult(f"a value of type {_name(value)} has no JSON form") from None
        return self.of(known)


def _members(value: BaseModel) -> Any:
    # One level: what is inside is written by the same rules as everything else.
    members = value.model_dump(mode="python", by_alias=True)
    return cast("object", members)


def _scalar(value: object) -> Any:
    """Return the JSON form of a value that has no parts; None for any other."""
    if isinstance(value, enum.Enum):
        return _Plain().of(cast("object", value.value))
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _not_finite(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(cast("bytes", value))
        return f"{len(data)} bytes in base64: {base64.b64encode(data).decode()}"
    return None


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _name(value: object) -> str:
    return type(value).__qualname__
