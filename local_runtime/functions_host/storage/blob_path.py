"""The path of a blob trigger: a container, and a pattern that the names of its blobs may fit."""

import re
from dataclasses import dataclass

_PART = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[^{}]+|[{}]")
_NAME = re.compile(r"[A-Za-z_][\w-]*")


@dataclass(frozen=True)
class BlobPattern:
    """A container and a pattern with `{names}`, each of which stands for any text."""

    container: str
    _expression: re.Pattern[str]
    _names: tuple[str, ...]

    @classmethod
    def parse(cls, path: str) -> "BlobPattern":
        """Read `container`, `container/{name}`, `container/in-{name}.{extension}` and so on.

        Raises:
            ValueError: It is no such path; the message says what is wrong with it.
        """
        container, _, pattern = path.strip("/").partition("/")
        if not container or "{" in container:
            raise ValueError(f"the path {path!r} must begin with the name of a container")
        names: list[str] = []
        pieces: list[str] = []
        for match in _PART.finditer(pattern):
            if match[1] is not None:
                pieces.append(_group(path, match[1].strip(), names))
            elif match[0] in ("{", "}"):
                raise ValueError(f"the path {path!r} has a brace too many")
            else:
                pieces.append(re.escape(match[0][0] if match[0] in ("{{", "}}") else match[0]))
        expression = re.compile("".join(pieces) if pattern else "(?:.+)", re.DOTALL)
        return cls(container, expression, tuple(names))

    def match(self, name: str) -> dict[str, str] | None:
        """Return what each name stands for in a blob's name; None if it does not fit."""
        found = self._expression.fullmatch(name)
        if found is None:
            return None
        return {name: found[number] for number, name in enumerate(self._names, 1)}


def _group(path: str, name: str, names: list[str]) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{{{name}}} in the path {path!r} is no name")
    if name in names:
        raise ValueError(f"{{{name}}} is twice in the path {path!r}")
    names.append(name)
    return "(.+)"
