"""Looks through a task hub's file for damage: its structure, its indexes, and every row."""

import logging
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from local_runtime.errors import StartupError
from local_runtime.scheduler.storage.checksums import COVERED, Covered
from local_runtime.scheduler.storage.damage import DamagedRow

logger = logging.getLogger("local_runtime.scheduler")

_MOST = 1000  # of SQLite's findings
# What SQLite says of one row: the checksums tell more of it, and everything else can be used.
_OF_A_ROW = re.compile(
    r"CHECK constraint failed in \w+|NULL value in \w+\.\w+"
    r"|(NUMERIC|TEXT|non-\w+) value in \w+\.\w+"
)
# What it says of an index, which is made of the rows and can be so again.
_OF_AN_INDEX = re.compile(
    r"row \d+ missing from index (?P<a>\w+)|wrong # of entries in index (?P<b>\w+)"
    r"|non-unique entry in index (?P<c>\w+)"
)


def check_structure(connection: sqlite3.Connection, path: Path, *, with_indexes: bool) -> list[str]:
    """Let a file pass whose structure is sound, whatever is in its rows.

    Returns:
        The indexes that do not agree with their table, if asked: see `damaged_indexes`.

    Raises:
        StartupError: the structure is not sound, and nothing in the file can be relied on.
    """
    found = _verdicts(connection, "integrity_check" if with_indexes else "quick_check")
    for verdict in found:
        if not _OF_A_ROW.fullmatch(verdict) and not _OF_AN_INDEX.fullmatch(verdict):
            raise StartupError(
                f"the task hub's file {path} is damaged ({' '.join(verdict.split())}). "
                "It has not been changed. "
                "Restore a copy, or start with another --data folder."
            )
    return _indexes_in(found)


def damaged_indexes(connection: sqlite3.Connection) -> list[str]:
    """Return the indexes that do not agree with their table: rows may be there and not be found."""
    return _indexes_in(_verdicts(connection, "integrity_check"))


def rebuild(connection: sqlite3.Connection, indexes: list[str]) -> None:
    """Make indexes anew from their tables, if all rows of these are sound.

    By an index that has the right id, a row with a damaged id is still found.
    """
    for index in indexes:
        (table,) = connection.execute(
            "SELECT tbl_name FROM sqlite_schema WHERE type = 'index' AND name = ?", (index,)
        ).fetchone()
        sound = all(
            not damaged
            for covered in COVERED
            if covered.table == table
            for damaged in _of_table(connection, covered)
        )
        try:
            if sound:
                connection.execute(f'REINDEX "{index}"')
        except sqlite3.IntegrityError:
            sound = False  # two rows have one id
        if sound:
            logger.warning("the index %s was damaged, and has been made anew from its rows", index)
        else:
            logger.error(
                "the index %s does not agree with its rows, and some of these are damaged", index
            )


def damaged_rows(connection: sqlite3.Connection) -> Iterator[list[DamagedRow]]:
    """Return what is damaged, a few hundred rows at a time; an empty list where nothing is."""
    for covered in COVERED:
        yield from _of_table(connection, covered)
    yield [
        DamagedRow("history", "?", instance_id, "turns are missing")
        for (instance_id,) in connection.execute(
            "SELECT instance_id FROM instances WHERE history_length != (SELECT"
            " coalesce(sum(event_count), 0) FROM history"
            " WHERE history.instance_id = instances.instance_id)"
        )
    ]


def _of_table(connection: sqlite3.Connection, covered: Covered) -> Iterator[list[DamagedRow]]:
    after: object | None = None
    while rows := covered.chunk(connection, after):
        found: list[DamagedRow] = []
        for key, row, stored in rows:
            damage = covered.fault(key, row, stored)
            if damage is not None:
                known = covered.with_owner(connection, key, row, stored)
                found.append(covered.damaged(key, known, damage.what))
        yield found
        after = rows[-1][0]


def _verdicts(connection: sqlite3.Connection, check: str) -> list[str]:
    rows = connection.execute(f"PRAGMA {check}({_MOST})").fetchall()
    return [verdict for (verdict,) in rows if verdict != "ok"]


def _indexes_in(verdicts: list[str]) -> list[str]:
    matches = [_OF_AN_INDEX.fullmatch(verdict) for verdict in verdicts]
    names = [name for match in matches if match for name in match.groups() if name is not None]
    return list(dict.fromkeys(names))
