"""The constraints that a route's parameter can have, as ASP.NET reads them: `{id:int:min(1)}`."""

import contextlib
import math
import re
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

type Check = Callable[[str], bool]

_INT_BITS, _LONG_BITS = 32, 64
_WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")
_DECIMAL = re.compile(r"\s*[+-]?(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)[+-]?\s*")
_REAL = re.compile(
    r"\s*[+-]?(?:(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|infinity|∞|nan)\s*",
    re.IGNORECASE,
)
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?: ?[AP]M)?", re.IGNORECASE)
_DATES = ("%m/%d/%Y", "%Y/%m/%d", "%m-%d-%Y", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y")


def build_check(name: str, arguments: str | None) -> Check:
    """Return the check that a constraint stands for.

    Args:
        name: The constraint's name, in any case.
        arguments: What stands between its parentheses; None without any.

    Raises:
        ValueError: There is no such constraint, or it takes other arguments.
    """
    name = name.strip().lower()
    if arguments is None:
        if name in _PLAIN:
            return _PLAIN[name]
    elif name == "regex":
        return _regex(arguments)
    elif name in _SIZES:
        fewest, most, size = _SIZES[name]
        given = arguments.split(",")
        if fewest <= len(given) <= most and all(_WHOLE.fullmatch(number) for number in given):
            numbers = [int(number) for number in given]
            return lambda value: size(value, numbers)
    raise ValueError(f"the constraint {name!r} is not known, or takes other arguments")


def known_constraints() -> str:
    """Name all constraints, for a message."""
    return ", ".join(sorted([*_PLAIN, *_SIZES, "regex"]))


def _whole(value: str, bits: int) -> int | None:
    if _WHOLE.fullmatch(value) is None:
        return None
    # Python refuses to read numbers of thousands of digits.
    number = int(value) if len(value) <= bits else 1 << bits
    return number if -(1 << (bits - 1)) <= number < (1 << (bits - 1)) else None


def _is_guid(value: str) -> bool:
    text = value.strip()
    inner = text[1:-1] if text[:1] + text[-1:] in ("{}", "()") else text
    digits = inner.replace("-", "")
    with contextlib.suppress(ValueError):
        plain = inner.lower() in (str(uuid.UUID(digits)), uuid.UUID(digits).hex)
        return plain and (inner is text or "-" in inner)
    return False


def _is_datetime(value: str) -> bool:
    text = value.strip()
    if _TIME.fullmatch(text):
        return True
    with contextlib.suppress(ValueError):
        datetime.fromisoformat(text)
        return not text.isdigit()
    date, _, time = text.partition(" ")
    for written in (text,) if not _TIME.fullmatch(time.strip()) else (date,):
        for form in _DATES:
            with contextlib.suppress(ValueError):
                datetime.strptime(written.replace(",", ""), form)  # noqa: DTZ007 - only tried
                return True
    return False


def _is_float(value: str) -> bool:
    return _REAL.fullmatch(value) is not None


def _regex(expression: str) -> Check:
    try:
        pattern = re.compile(expression, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"{expression!r} is no regular expression: {error}") from error
    return lambda value: pattern.search(value) is not None


def _number_between(value: str, low: float, high: float) -> bool:
    number = _whole(value, _LONG_BITS)
    return number is not None and low <= number <= high


def _is_file_name(value: str) -> bool:
    return re.search(r"\.[^/.]", value.rpartition("/")[2]) is not None


_PLAIN: dict[str, Check] = {
    "int": lambda value: _whole(value, _INT_BITS) is not None,
    "long": lambda value: _whole(value, _LONG_BITS) is not None,
    "bool": lambda value: value.strip().lower() in ("true", "false"),
    "guid": _is_guid,
    "alpha": lambda value: value.isascii() and (value.isalpha() or not value),
    "decimal": lambda value: _DECIMAL.fullmatch(value) is not None,
    "double": _is_float,
    "float": _is_float,
    "datetime": _is_datetime,
    "required": lambda value: value != "",
    "file": _is_file_name,
    "nonfile": lambda value: not _is_file_name(value),
}
_SIZES: dict[str, tuple[int, int, Callable[[str, Sequence[int]], bool]]] = {
    "length": (1, 2, lambda value, args: args[0] <= len(value) <= args[-1]),
    "minlength": (1, 1, lambda value, args: len(value) >= args[0]),
    "maxlength": (1, 1, lambda value, args: len(value) <= args[0]),
    "min": (1, 1, lambda value, args: _number_between(value, args[0], math.inf)),
    "max": (1, 1, lambda value, args: _number_between(value, -math.inf, args[0])),
    "range": (2, 2, lambda value, args: _number_between(value, args[0], args[1])),
}
