"""Compares a path with the template of one of the host's own routes, as `instances/{id}`."""

from collections.abc import Sequence


def match_path(template: str, segments: Sequence[str]) -> dict[str, str] | None:
    """Return the parameters in a path, by their names in lower case; None if it is another's.

    The path comes in segments, which are decoded. Literals are compared without case, and no
    parameter is empty.
    """
    expected = template.split("/")
    if len(expected) != len(segments):
        return None
    params: dict[str, str] = {}
    for part, given in zip(expected, segments, strict=True):
        if part.startswith("{") and given:
            params[part.strip("{}").lower()] = given
        elif part.lower() != given.lower():
            return None
    return params
