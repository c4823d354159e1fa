"""The limit: bare SQLite commits with a flush to disk, one for each step or for all that is ready.

Run: python -m bench.sqlite_limit
"""

import sqlite3
import tempfile
import time
from pathlib import Path


def commits(folder: Path, groups: int, rows: int) -> float:
    """Return the seconds that `groups` commits of `rows` small rows each take."""
    connection = sqlite3.connect(folder / f"{groups}-{rows}.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE steps (result TEXT)")
    began = time.perf_counter()
    for _ in range(groups):
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO steps VALUES (?)", [("x" * 100,)] * rows)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    connection.close()
    return seconds


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for steps in (3, 101, 1001):
            single = commits(Path(folder), steps, 1) * 1000
            grouped = commits(Path(folder), 2, steps) * 1000
            print(f"{steps} steps: one commit each {single:.1f} ms, two groups {grouped:.1f} ms")


if __name__ == "__main__":
    main()
