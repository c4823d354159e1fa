"""Fills in the `{expressions}` of a binding: names from the trigger, random ids and the time."""

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from local_runtime.clock import Clock
from local_runtime.functions_host.ids import IdSource

_EXPRESSION = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_DATE_PART = re.compile(r"y{1,4}|M{1,2}|d{1,2}|H{1,2}|h{1,2}|m{1,2}|s{1,2}|f{1,6}|K|'[^']*'|.")
_DATES: Mapping[str, Callable[[datetime], str]] = {
    "yyyy": lambda at: f"{at:%Y}",
    "yy": lambda at: f"{at:%y}",
    "MM": lambda at: f"{at:%m}",
    "M": lambda at: str(at.month),
    "dd": lambda at: f"{at:%d}",
    "d": lambda at: str(at.day),
    "HH": lambda at: f"{at:%H}",
    "H": lambda at: str(at.hour),
    "hh": lambda at: f"{at:%I}",
    "h": lambda at: str(int(f"{at:%I}")),
    "mm": lambda at: f"{at:%M}",
    "m": lambda at: str(at.minute),
    "ss": lambda at: f"{at:%S}",
    "s": lambda at: str(at.second),
    "K": lambda at: "Z",
}
_USUAL_DATE = "yyyy-MM-ddTHH-mm-ssK"


class UnknownExpression(ValueError):
    """A binding names something that its trigger does not have."""


class Expressions:
    """Fills in expressions."""

    def __init__(self, clock: Clock, new_id: IdSource) -> None:
        self._clock = clock
        self._new_id = new_id

    def fill(self, text: str, data: Mapping[str, Any]) -> str:
        """Replace each `{expression}` by what it stands for; `{{` and `}}` are braces.

        Args:
            text: The text of a binding.
            data: What the trigger knows, by name; names are compared without case.

        Raises:
            UnknownExpression: One of them is not known; the message names it.
        """
        known = {name.lower(): value for name, value in data.items()}

        def value_of(match: re.Match[str]) -> str:
            if match[0] in ("{{", "}}"):
                return match[0][0]
            return self._value(match[1].strip(), known)

        return _EXPRESSION.sub(value_of, text)

    def _value(self, expression: str, known: Mapping[str, Any]) -> str:
        name, _, form = expression.partition(":")
        match name.strip().lower():
            case "rand-guid" | "sys.randguid":
                return _guid(self._new_id(), form.strip() or "D")
            case "datetime" | "sys.utcnow":
                return _date(self._clock.now(), form or _USUAL_DATE)
            case path:
                return _look_up(known, path, expression)


def _look_up(known: Mapping[str, Any], path: str, expression: str) -> str:
    # A name may hold dots itself, as that of a header does.
    first, *rest = [path] if path in known else path.split(".")
    value: Any = known.get(first)
    for part in rest:
        value = _member(value, part)
    if value is None or isinstance(value, dict | list):
        raise UnknownExpression(f"the trigger has no value for {{{expression}}}")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _member(value: object, name: str) -> object:
    if not isinstance(value, dict):
        return None
    members = cast("dict[str, object]", value)
    return next((inner for key, inner in members.items() if key.lower() == name), None)


def _guid(digits: str, form: str) -> str:
    dashed = str(uuid.UUID(digits))
    forms = {"N": digits, "D": dashed, "B": f"{{{dashed}}}", "P": f"({dashed})"}
    if form.upper() not in forms:
        raise UnknownExpression(f"{form!r} is no format of {{rand-guid}}: N, D, B and P are")
    return forms[form.upper()]


def _date(at: datetime, form: str) -> str:
    def part(match: re.Match[str]) -> str:
        token = match[0]
        if token in _DATES:
            return _DATES[token](at)
        if token[0] == "f":
            return f"{at.microsecond:06}"[: len(token)]
        return token.strip("'") if len(token) > 1 else token

    return _DATE_PART.sub(part, form)
