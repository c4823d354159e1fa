"""The routes of HTTP functions, matched as ASP.NET matches them: `orders/{id:int}/{part?}`."""

import re

from local_runtime.errors import StartupError
from local_runtime.functions_host.web.route_constraints import known_constraints
from local_runtime.functions_host.web.route_parser import Parameter, Segment, parse_route


class RouteTemplate:
    """One route, ready to be matched against paths."""

    def __init__(self, text: str, segments: tuple[Segment, ...]) -> None:
        self.text = text
        self._segments = segments
        self._parameters = [
            part for segment in segments for part in segment if isinstance(part, Parameter)
        ]
        self._pattern = re.compile(_pattern(segments) + "/?", re.IGNORECASE | re.DOTALL)

    @classmethod
    def parse(cls, text: str) -> "RouteTemplate":
        """Read a route.

        Raises:
            StartupError: The route is malformed, or has a constraint that is not known here.
        """
        try:
            return cls(text, parse_route(text))
        except ValueError as error:
            raise StartupError(
                f"the route {text!r} of an HTTP function cannot be used: {error}. "
                f"Constraints are {known_constraints()}."
            ) from error

    @property
    def rank(self) -> tuple[int, ...]:
        """Sorts routes so that the more exact one is asked first, segment by segment."""
        return tuple(_rank(segment) for segment in self._segments)

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters in a decoded path, or None if it does not match."""
        found = self._pattern.fullmatch(path)
        if found is None:
            return None
        values: dict[str, str] = {}
        for parameter, given in zip(self._parameters, found.groups(), strict=True):
            value = given or parameter.default
            if value is None:
                continue
            if not all(check(value) for check in parameter.checks):
                return None
            values[parameter.name] = value
        return values


def _rank(segment: Segment) -> int:
    """Return what ASP.NET calls the segment's precedence: literals first, catch-alls last."""
    first = segment[0]
    if len(segment) > 1:
        return 2
    if isinstance(first, str):
        return 1
    return (4 if first.catch_all else 2) + (not first.checks)


def _pattern(segments: tuple[Segment, ...]) -> str:
    """Return the pattern of a path, with a group for each parameter.

    Only at its end can a path lack segments, so these are nested: `(?:/a(?:/b)?)?`.
    """
    if not segments:
        return ""
    first, rest = segments[0], _pattern(segments[1:])
    pattern = f"/{_segment_pattern(first)}{rest}"
    whole = first[0] if len(first) == 1 else None
    absent = isinstance(whole, Parameter) and whole.may_be_absent
    return f"(?:{pattern})?" if absent else pattern


def _segment_pattern(segment: Segment) -> str:
    last = segment[-1]
    if len(segment) > 1 and isinstance(last, Parameter) and last.optional:
        before = str(segment[-2])
        return f"{_parts((*segment[:-2], before[:-1]), lazy=True)}(?:\\.([^/.]+))?"
    return _parts(segment)


def _parts(parts: Segment, *, lazy: bool = False) -> str:
    pattern = ""
    for part in parts:
        if isinstance(part, str):
            pattern += re.escape(part)
        elif part.catch_all:
            pattern += "(.*)"
        else:
            # Of several ways to divide a segment, the last parameter takes as little as it can.
            pattern += "([^/]+?)" if lazy else "([^/]+)"
    return pattern
