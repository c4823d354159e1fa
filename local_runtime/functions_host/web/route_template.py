"""The routes of HTTP functions: `orders/{id:int}/{part?}`, `files/{*path}`.

A small subset of ASP.NET's route templates, the one that Functions apps use.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from local_runtime.errors import StartupError

_PARAMETER = re.compile(
    r"\{(?P<all>\*{0,2})(?P<name>[^{}:=?]+)(?P<constraints>(?::[^{}=?]+)*)"
    r"(?:=(?P<default>[^{}?]*))?(?P<optional>\?)?\}"
)
_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_SHAPES = {
    "int": r"[+-]?\d{1,10}",
    "long": r"[+-]?\d{1,19}",
    "bool": r"(?i:true|false)",
    "guid": r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}",
    "alpha": r"[a-zA-Z]+",
    "decimal": _NUMBER,
    "double": _NUMBER,
    "float": _NUMBER,
    "datetime": r"\d{1,4}[-/]\d{1,2}[-/]\d{1,4}.*",
    "required": r".+",
}
_SIZES: dict[str, Callable[[str, list[float]], bool]] = {
    "length": lambda value, args: args[0] <= len(value) <= args[-1],
    "minlength": lambda value, args: len(value) >= args[0],
    "maxlength": lambda value, args: len(value) <= args[0],
    "min": lambda value, args: _is_number(value) and float(value) >= args[0],
    "max": lambda value, args: _is_number(value) and float(value) <= args[0],
    "range": lambda value, args: _is_number(value) and args[0] <= float(value) <= args[-1],
}


@dataclass(frozen=True)
class _Parameter:
    name: str
    checks: tuple[Callable[[str], bool], ...]
    default: str | None


class RouteTemplate:
    """One route, ready to be matched against paths."""

    def __init__(
        self, text: str, pattern: re.Pattern[str], parameters: tuple[_Parameter, ...]
    ) -> None:
        self.text = text
        self._pattern = pattern
        self._parameters = parameters

    @classmethod
    def parse(cls, text: str) -> "RouteTemplate":
        """Read a route.

        Raises:
            StartupError: The route is malformed, or has a constraint that is not known here.
        """
        parameters: list[_Parameter] = []
        pattern = ""
        for segment in text.strip("/").split("/") if text.strip("/") else []:
            pattern += _segment_pattern(text, segment, parameters)
        return cls(text, re.compile(pattern + "/?", re.IGNORECASE), tuple(parameters))

    @property
    def rank(self) -> tuple[tuple[int, ...], int]:
        """Sorts routes so that the more exact one is asked first: literals before parameters."""
        segments = self.text.strip("/").split("/")
        kinds = tuple(2 if "{*" in segment else 1 if "{" in segment else 0 for segment in segments)
        return kinds, -sum(len(parameter.checks) for parameter in self._parameters)

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters in `path` (which begins with `/`), or None if it does not match."""
        found = self._pattern.fullmatch(path)
        if found is None:
            return None
        values: dict[str, str] = {}
        for parameter, value in zip(self._parameters, found.groups(), strict=True):
            if value:
                if not all(check(value) for check in parameter.checks):
                    return None
                values[parameter.name] = value
            elif parameter.default is not None:
                values[parameter.name] = parameter.default
        return values


def _segment_pattern(route: str, segment: str, parameters: list[_Parameter]) -> str:
    """Return the pattern of one segment with its slash, and collect its parameters."""
    pattern, position, may_be_absent = "", 0, False
    for match in _PARAMETER.finditer(segment):
        pattern += re.escape(segment[position : match.start()])
        position = match.end()
        default = match["default"]
        may_be_absent = bool(match["all"] or match["optional"] or default is not None)
        pattern += "(.*)" if match["all"] else "([^/]+?)"
        checks = tuple(_check(route, text) for text in match["constraints"].split(":")[1:])
        parameters.append(_Parameter(match["name"].strip(), checks, default))
    rest = segment[position:]
    if "{" in rest or "}" in rest:
        raise StartupError(f"the route {route!r} of an HTTP function is malformed at {segment!r}.")
    pattern = "/" + pattern + re.escape(rest)
    return f"(?:{pattern})?" if may_be_absent else pattern


def _check(route: str, constraint: str) -> Callable[[str], bool]:
    name, _, arguments = constraint.partition("(")
    name = name.strip().lower()
    if name in _SHAPES:
        shape = re.compile(_SHAPES[name])
        return lambda value: shape.fullmatch(value) is not None
    try:
        size = _SIZES[name]
        numbers = [float(argument) for argument in arguments.rstrip(")").split(",")]
    except (KeyError, ValueError) as error:
        known = ", ".join(sorted([*_SHAPES, *_SIZES]))
        raise StartupError(
            f"the route {route!r} of an HTTP function has the constraint {constraint!r}, which "
            f"the embedded runtime does not know; it knows {known}."
        ) from error
    return lambda value: size(value, numbers)


def _is_number(value: str) -> bool:
    return re.fullmatch(_NUMBER, value) is not None
