"""The limit: bare SQLite commits with a flush to disk, for each step or for all that is ready."""

import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

from bench.loads import Figures, Load


def commits(folder: Path, sizes: Iterable[int]) -> float:
    """Return the seconds that commits of these many small rows each take together."""
    path = folder / "limit.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE steps (result TEXT)")
    began = time.perf_counter()
    for size in sizes:
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO steps VALUES (?)", [("x" * 100,)] * size)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    connection.close()
    path.unlink()
    return seconds


def limit(load: Load, folder: Path, *, grouped: bool) -> Figures:
    """The figures of a load that did nothing but record its steps."""
    if load.milliseconds:
        return {}  # its limit is the time of its steps
    sizes = list(load.groups()) if grouped else [1] * (load.steps * load.count)
    return load.figures([commits(folder, sizes) for _ in range(load.times)])
