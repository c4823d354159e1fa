"""Fills in the `%NAME%` of a setting."""

import re
from collections.abc import Mapping


def resolve(text: str, environ: Mapping[str, str]) -> str | None:
    """Replace each `%NAME%` by its setting; None when one of them is not set."""
    missing = False

    def value_of(match: re.Match[str]) -> str:
        nonlocal missing
        value = environ.get(match[1], "")
        missing = missing or not value
        return value

    resolved = re.sub(r"%([^%]+)%", value_of, text)
    return None if missing else resolved
