"""Reads the text of a route: its segments, each of literals and parameters.

The grammar is that of ASP.NET's route templates. A brace that is meant as one is doubled, which
happens in regular expressions: `{zip:regex(^[0-9]{{5}}$)}`.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from local_runtime.functions_host.web.route_constraints import Check, build_check


@dataclass(frozen=True)
class Parameter:
    """One parameter of a route."""

    name: str
    checks: tuple[Check, ...] = ()
    default: str | None = None
    optional: bool = False
    catch_all: bool = False

    @property
    def may_be_absent(self) -> bool:
        """Whether a path matches that ends before it."""
        return self.optional or self.catch_all or self.default is not None


type Segment = tuple[str | Parameter, ...]


def parse_route(text: str) -> tuple[Segment, ...]:
    """Return the segments of a route.

    Raises:
        ValueError: It is malformed; the message says how.
    """
    segments = tuple(_segment(parts) for parts in _split(text))
    parameters = [part for parts in segments for part in parts if isinstance(part, Parameter)]
    names = [parameter.name.lower() for parameter in parameters]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the parameter {name!r} appears more than once")
    for segment in segments[:-1]:
        if any(isinstance(part, Parameter) and part.catch_all for part in segment):
            raise ValueError("a catch-all parameter must come last")
    return segments


def _split(text: str) -> Iterator[list[str]]:
    """Yield the pieces of each segment; those that are parameters begin with `{`."""
    pieces: list[str] = [""]
    position = 0
    while position < len(text):
        char = text[position]
        if char == "/":
            yield pieces
            pieces = [""]
        elif char == "{":
            end = _closing_brace(text, position)
            pieces += [text[position:end], ""]
            position = end
        elif char == "}":
            raise ValueError("there is a '}' without its '{'")
        else:
            pieces[-1] += char
        position += 1
    if pieces != [""]:
        yield pieces


def _closing_brace(text: str, start: int) -> int:
    position = start + 1
    while position < len(text):
        if text[position : position + 2] in ("{{", "}}"):
            position += 1
        elif text[position] == "}":
            return position
        elif text[position] == "{":
            break
        position += 1
    raise ValueError("there is a '{' without its '}'")


def _segment(pieces: list[str]) -> Segment:
    if pieces == [""]:
        raise ValueError("it has two '/' in a row, or begins or ends with one")
    segment = tuple(
        _parameter(piece[1:]) if piece.startswith("{") else piece for piece in pieces if piece
    )
    for part, following in itertools.pairwise(segment):
        if isinstance(part, Parameter) and isinstance(following, Parameter):
            raise ValueError(f"the parameters {part.name!r} and {following.name!r} touch")
        if isinstance(part, Parameter) and part.optional:
            raise ValueError(f"the optional parameter {part.name!r} must end its segment")
    last = segment[-1]
    if isinstance(last, Parameter) and len(segment) > 1:
        if last.catch_all:
            raise ValueError(f"the catch-all parameter {last.name!r} must be alone in its segment")
        if last.optional and segment[-2] != "." and not str(segment[-2]).endswith("."):
            raise ValueError(f"only a '.' may stand before the optional parameter {last.name!r}")
    return segment


def _parameter(text: str) -> Parameter:
    text = text.replace("{{", "{").replace("}}", "}")
    catch_all = text.startswith("*")
    text = text.removeprefix("*").removeprefix("*") if catch_all else text
    optional = text.endswith("?")
    text = text.removesuffix("?")
    end = min((text + ":").index(":"), (text + "=").index("="))
    name, rest = text[:end].strip(), text[end:]
    if not name or any(char in "{}/?*" for char in name):
        raise ValueError(f"{name!r} cannot be the name of a parameter")
    checks: list[Check] = []
    while rest.startswith(":"):
        constraint, arguments, rest = _constraint(rest[1:])
        checks.append(build_check(constraint, arguments))
    default = rest[1:] if rest.startswith("=") else None
    if optional and (catch_all or default is not None):
        raise ValueError(f"the parameter {name!r} cannot be optional as well")
    return Parameter(name, tuple(checks), default, optional, catch_all)


def _constraint(text: str) -> tuple[str, str | None, str]:
    """Split off one constraint: its name, its arguments, and what follows it."""
    ends = [index for index, char in enumerate(text) if char in "(:="]
    end = ends[0] if ends else len(text)
    if text[end : end + 1] != "(":
        return text[:end], None, text[end:]
    for position in range(end + 1, len(text)):
        # Within a regular expression a parenthesis may close a group only.
        if text[position] == ")" and text[position + 1 : position + 2] in ("", ":", "="):
            return text[:end], text[end + 1 : position], text[position + 1 :]
    raise ValueError(f"the constraint {text!r} has no closing parenthesis")
