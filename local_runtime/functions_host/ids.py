"""Where new ids come from; parts that need one take an IdSource by their constructor."""

import uuid
from collections.abc import Callable

IdSource = Callable[[], str]


def random_id() -> str:
    """Return 32 hexadecimal digits without dashes, as the Functions host makes instance ids."""
    return uuid.uuid4().hex  # noqa: TID251 - this is the id source
