"""Reads what a docstring says of a function and of its parameters. Pure.

It knows the Google form (`Args:`), the Sphinx form (`:param name: ...`) and the NumPy form
(`Parameters` over a line). Whatever comes before the first such part is about the function.
"""

import inspect
import re
from dataclasses import dataclass, field

_PARAMETERS = {"args", "arguments", "parameters", "params"}
_OTHERS = {
    "returns", "return", "raises", "yields", "yield", "example", "examples", "note", "notes",
    "attributes", "see also", "references", "warning", "warnings", "todo", "keyword args",
    "keyword arguments", "other parameters",
}  # fmt: skip
_SPHINX = re.compile(r":(\w+)(?:\s+([^:]*?))?:\s*(.*)")
_GOOGLE = re.compile(r"\*{0,2}(\w+)\s*(?:\(.*?\))?\s*:\s*(.*)")
_NUMPY = re.compile(r"\*{0,2}(\w+)\s*(?::.*)?")


@dataclass
class Docstring:
    """What a docstring says.

    Attributes:
        description: Of the function: its paragraphs, with an empty line between them.
        parameters: Of each parameter that it describes, by name; one line each.
    """

    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict[str, str])


def read_docstring(text: str | None) -> Docstring:
    """Return what a docstring says; nothing for none."""
    lines = inspect.cleandoc(text or "").splitlines()
    start = next((at for at in range(len(lines)) if _begins_a_part(lines, at)), len(lines))
    found = Docstring(description=_paragraphs(lines[:start]))
    at = start
    while at < len(lines):
        end = next((one for one in range(at + 1, len(lines)) if _begins_a_part(lines, one)), None)
        _take_part(lines[at : end or len(lines)], found.parameters)
        at = end or len(lines)
    return found


def _begins_a_part(lines: list[str], at: int) -> bool:
    line = lines[at]
    if _SPHINX.match(line):
        return True
    heading = line.strip().lower()
    if line.startswith(" ") or heading.rstrip(":") not in _PARAMETERS | _OTHERS:
        return False
    underlined = at + 1 < len(lines) and re.fullmatch(r"-{3,}\s*", lines[at + 1]) is not None
    return heading.endswith(":") or underlined


def _take_part(lines: list[str], into: dict[str, str]) -> None:
    sphinx = _SPHINX.match(lines[0])
    if sphinx:
        if sphinx[1] in {"param", "parameter", "arg", "argument"} and sphinx[2]:
            # The name is the last word: a type may stand before it.
            into[sphinx[2].split()[-1].lstrip("*")] = _line([sphinx[3], *lines[1:]])
        return
    if lines[0].strip().lower().rstrip(":") not in _PARAMETERS:
        return
    numpy = not lines[0].strip().endswith(":")
    _take_entries(lines[2:] if numpy else lines[1:], _NUMPY if numpy else _GOOGLE, into)


def _take_entries(lines: list[str], form: re.Pattern[str], into: dict[str, str]) -> None:
    indents = [_indent(line) for line in lines if line.strip()]
    name = ""
    for line in lines:
        if not line.strip():
            continue
        entry = form.fullmatch(line.strip()) if _indent(line) == min(indents) else None
        if entry:
            name = entry[1]
            into[name] = entry[2] if form is _GOOGLE else ""
        elif name:
            into[name] = _line([into[name], line])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _line(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def _paragraphs(lines: list[str]) -> str:
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip())
    return "\n\n".join(_line([paragraph]) for paragraph in paragraphs)
