"""Regular expressions whose time is bounded, whatever the pattern and the text.

Python's `re` tries one way after the other: `^(a+)+$` takes it twice as long with each letter. The
engine of pydantic goes through a text once. It has no look-around and no backreferences, which
cannot be had in bounded time: a pattern with one of them is refused.
"""

import functools
import re
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError

_LARGEST = 10_000
# So many letters does a class of all alphabets count for: that much longer the engine takes.
_ALPHABETS = 8

_TOKEN = re.compile(
    r"""(?P<wide>\\[wW]|\\[pP](?:\{[^}]*\})?)
    |\\[xuU]\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]
    |(?P<open>\()|(?P<close>\))|\{(?P<least>\d+)(?:,(?P<most>\d*))?\}|.""",
    re.DOTALL | re.VERBOSE,
)


class UnusablePattern(ValueError):
    """The pattern cannot be used; the message says why."""


def require_usable(pattern: str) -> None:
    """Compile a pattern, which is kept for `found`.

    Raises:
        UnusablePattern: It is none, or needs more than a bounded time.
    """
    if isinstance(reason := _matcher(pattern), str):
        raise UnusablePattern(reason)


def found(pattern: str, text: str) -> bool:
    """Return whether the pattern matches somewhere in the text.

    Raises:
        UnusablePattern: As `require_usable`.
    """
    matcher = _matcher(pattern)
    if isinstance(matcher, str):
        raise UnusablePattern(matcher)
    try:
        matcher.validate_python(text)
    except ValidationError:
        return False
    return True


def steps(pattern: str, text: str) -> int:
    """Return how many steps a search takes at most: for each letter the length of the pattern."""
    return _written_out(pattern) * len(text)


@functools.lru_cache(maxsize=1024)
def _matcher(pattern: str) -> TypeAdapter[str] | str:
    """Return what matches the pattern, or why nothing does. Either is kept."""
    if len(pattern) > _LARGEST:
        return f"it is longer than {_LARGEST} characters"
    try:
        matcher = TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except SchemaError as error:
        # The engine shows the pattern with a mark below it; its last line says what is wrong.
        reason = str(error).splitlines()[-1].strip()
        return reason.removeprefix("error: ").removeprefix("SchemaError: ")
    if _written_out(pattern) > _LARGEST:
        return "its repetitions are too many to be matched in bounded time"
    return matcher


@functools.lru_cache(maxsize=1024)
def _written_out(pattern: str) -> int:
    """Return about how long the pattern is when `a{3}` is written `aaa`."""
    sizes = [0]
    last = 0
    for token in _TOKEN.finditer(pattern):
        if token["open"]:
            sizes.append(0)
            continue
        if token["least"]:
            added = last * (int(token["most"] or token["least"]) - 1)
            last += added
        elif token["close"] and len(sizes) > 1:
            last = added = sizes.pop()
        else:
            last = added = _ALPHABETS if token["wide"] else 1
        sizes[-1] += added
    return sum(sizes)
