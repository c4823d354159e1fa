"""Gives the space that deleted rows leave back to the file system, a little at a time."""

import sqlite3

from local_runtime import faults
from local_runtime.scheduler.storage.transaction import Transaction

# Kept for what comes next: a file that shrinks and grows by turns would only cost writes. It is
# also about what laying out the log takes at the next start.
_RESERVE_PAGES = 1024
_STEP_PAGES = 256  # in one transaction: others are served in between


def has_surplus(connection: sqlite3.Connection) -> bool:
    """Whether enough is free that shrinking the file is worth it."""
    return _free_pages(connection) > 2 * _RESERVE_PAGES


def shrink(tx: Transaction) -> bool:
    """Free one portion of pages; return whether there is more to do."""
    pages = min(_STEP_PAGES, _free_pages(tx.connection) - _RESERVE_PAGES)
    if pages > 0:
        # SQLite frees a page at each row that is fetched.
        tx.connection.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
        faults.reach("vacuum.half")
    return _free_pages(tx.connection) > _RESERVE_PAGES


def _free_pages(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    return pages
