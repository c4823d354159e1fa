"""One object of host.json, whose settings are read with a check of their kind."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from local_runtime.errors import StartupError

_OVERRIDE_PREFIX = "azurefunctionsjobhost__"
_TIME_SPAN = re.compile(r"(?:(\d{1,3})\.)?(\d{1,2}):(\d{1,2}):(\d{1,2})")
_EXACT_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d+)?)")


class Section:
    """One object of host.json.

    Its methods raise StartupError for a setting of the wrong kind; the message names it.
    """

    def __init__(self, path: Path, values: dict[str, Any], name: str = "") -> None:
        self._path = path
        self._values = values
        self._name = name

    def child(self, *names: str) -> "Section":
        """Return an inner object; an absent one is empty."""
        values: Any = self._values
        for name in names:
            values = cast("dict[str, Any]", values).get(name) or {}
            if not isinstance(values, dict):
                raise self._wrong(name, "an object")
        return Section(self._path, cast("dict[str, Any]", values), ".".join(names))

    def text(self, name: str, default: str) -> str:
        """Return a text."""
        return self._read(name, default, "a string", lambda value: str(value))

    def number(self, name: str, *, least: int = 1, most: int | None = None) -> int | None:
        """Return a whole number of at least `least`, or None when it is absent."""
        kind = f"a whole number above {least - 1}" if least else "a whole number"
        kind += f" and at most {most}" if most is not None else ""
        number = self._read(name, None, kind, lambda value: int(str(value)))
        if number is not None and (number < least or (most is not None and number > most)):
            raise self._wrong(name, kind)
        return number

    def seconds(self, name: str) -> float | None:
        """Return the length of a time written `hh:mm:ss`, or None when it is absent."""
        return self._read(name, None, "a time such as 00:00:30", _seconds)

    def limit(self, name: str) -> int | None:
        """Return a whole number above 0, or None when it is absent or -1, for no limit."""
        if str(self._values.get(name)).strip() == "-1":
            return None
        return self.number(name)

    def texts(self, name: str) -> dict[str, str]:
        """Return an object of strings; an absent one is empty."""
        values = self.child(name)._values  # noqa: SLF001 - a section of its own kind
        if not all(isinstance(value, str) for value in values.values()):
            raise self._wrong(name, "an object of strings")
        return dict(values)

    def flag(self, name: str) -> bool:
        """Return a truth value; an absent one is false."""
        return (
            self._read(name, "false", "true or false", lambda value: str(value)).lower() == "true"
        )

    def duration(self, name: str, default: timedelta | None) -> timedelta | None:
        """Return a time span of a second or more, like `00:05:00`; None for `-1`, without end."""
        text = self.text(name, "")
        if not text:
            return default
        if text == "-1":
            return None
        found = _TIME_SPAN.fullmatch(text)
        kind = 'a time span like "00:05:00" (at least a second), or "-1" for none'
        if found is None:
            raise self._wrong(name, kind)
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if hours > 23 or minutes > 59 or seconds > 59 or not span:
            raise self._wrong(name, kind)
        return span

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """Return one of the allowed words, compared without case; the first when it is absent."""
        chosen = self.text(name, allowed[0]).lower()
        for option in allowed:
            if option.lower() == chosen:
                return option
        raise self._wrong(name, " or ".join(allowed))

    def _read[T](self, name: str, default: T, kind: str, convert: Callable[[object], T]) -> T:
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, dict | list):
            raise self._wrong(name, kind)
        try:
            return convert(cast("object", value))
        except ValueError as error:
            raise self._wrong(name, kind) from error

    def _wrong(self, name: str, kind: str) -> StartupError:
        where = f"{self._name}.{name}".strip(".")
        return StartupError(f"{self._path}: the setting {where!r} must be {kind}.")


def _seconds(value: object) -> float:
    match = _EXACT_SPAN.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(value)
    days, hours, minutes, seconds = match.groups()
    return float(int(days or 0) * 86_400 + int(hours) * 3600 + int(minutes) * 60) + float(seconds)


def lowered(value: Any) -> Any:
    """Return `value` with its names in lower case, as the host reads them without regard to it."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key.lower(): lowered(inner) for key, inner in items}
    return value


def apply_overrides(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Apply `AzureFunctionsJobHost__a__b=value`, which overrides `a.b` of host.json."""
    for name, value in environ.items():
        if not name.lower().startswith(_OVERRIDE_PREFIX):
            continue
        *parents, last = name.lower().removeprefix(_OVERRIDE_PREFIX).split("__")
        place = document
        for parent in parents:
            inner = place.get(parent)
            if not isinstance(inner, dict):
                inner = place[parent] = {}
            place = cast("dict[str, Any]", inner)
        place[last] = value
