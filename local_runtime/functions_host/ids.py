"""Where new ids come from; parts that need one take an IdSource by their constructor."""

import os
from collections.abc import Callable

IdSource = Callable[[], str]


def random_id() -> str:
    """Return 32 hexadecimal digits without dashes, as the Functions host makes instance ids."""
    # As uuid4 does, which takes three times as long; every request to a function needs one.
    number = int.from_bytes(os.urandom(16)) & ~(0xF000 << 64) & ~(0xC000 << 48)
    return f"{number | 4 << 76 | 2 << 62:032x}"
