"""Names of a server's tools, as model servers and function hosts take them. Pure."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

# Of models' servers 64, of activities here 63.
_LONGEST = 63
_MARK = 8


def legal_names(names: Sequence[str], prefix: str = "") -> dict[str, str]:
    """Return a legal name for each name; it depends on the names alone, and not on their order.

    A name that is legal stays as it is. One that is not, or that differs from another in case
    only, gets a mark made of the name.

    Args:
        names: The names, as their server knows them.
        prefix: What each name begins with.
    """
    plain = {name: _plain(prefix + name) for name in names}
    taken = Counter(one.casefold() for one in plain.values())
    return {
        name: one if one == prefix + name and taken[one.casefold()] == 1 else _marked(one, name)
        for name, one in plain.items()
    }


def _plain(name: str) -> str:
    """Return a name of the right characters and length."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name)
    if not plain[:1].isascii() or not plain[:1].isalpha():
        plain = f"tool_{plain.lstrip('_-')}"
    return plain[:_LONGEST]


def _marked(plain: str, name: str) -> str:
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK]
    return f"{plain[: _LONGEST - _MARK - 1].rstrip('_-')}_{mark}"
