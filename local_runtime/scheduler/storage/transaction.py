"""What each step of a transaction works with: the connection, the time, new ids, the effects."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

from local_runtime.scheduler.storage.effects import Effects


@dataclass(slots=True)
class Transaction:
    """One open transaction; lives no longer than the function it is given to."""

    connection: sqlite3.Connection
    now: int
    new_id: Callable[[], str]
    new_key: Callable[[], int]
    effects: Effects = field(default_factory=Effects)
