"""The checksum of each row: a bit that the disk has turned over is noticed when the row is read.

SQLite has none of its own in the file, only in its log. A row without a checksum is taken as it is:
what is not written by this program has none.

    instances.checksum           what it was started with, but for its input
    instances.progress_checksum  how far it is: status, length, times, custom status, trace, failure
    instances.input_checksum     its input
    instances.output_checksum    its output
    history, inbox, tasks, delayed, entities, critical_sections: all of a row
"""

import sqlite3
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from local_runtime.scheduler.storage.damage import DamagedRow, original

_CHUNK = 500  # rows that are read at once
_WORD = 0xFFFF_FFFF

_NUMBERS = struct.Struct("<4q").pack  # faster than to write them out
_OF_ANOTHER_TYPE = (TypeError, ValueError, struct.error)

type Sums = tuple[int | None, ...]


def head(
    instance_id: str,
    execution_id: str,
    name: str,
    version: str | None,
    created_at: int,
    scheduled_at: int | None,
    parent_id: str | None,
    started: bytes,
) -> int:
    """Return the checksum of what an instance was started with, but for its input."""
    text = (
        f"{instance_id}\0{execution_id}\0{name}\0{version}\0{created_at}\0{scheduled_at}"
        f"\0{parent_id}"
    )
    return crc32(started, crc32(original(text)))


def progress(
    instance_id: str,
    status: str,
    suspended: int,
    history_length: int,
    updated_at: int,
    completed_at: int | None,
    custom_status: str | None,
    trace: bytes | None,
    failure: bytes | None,
) -> int:
    """Return the checksum of how far an instance is."""
    ended = -1 if completed_at is None else completed_at
    mark = "" if custom_status is None else "="
    text = f"{instance_id}\0{status}\0{mark}{custom_status}"
    found = crc32(original(text), crc32(_NUMBERS(suspended, history_length, updated_at, ended)))
    if trace is not None:
        found = crc32(trace, found)
    return found if failure is None else crc32(failure, found)


def payload(instance_id: str, text: str | None) -> int:
    """Return the checksum of an input or an output."""
    return crc32(original(f"{instance_id}\0{'' if text is None else '='}{text}"))


def owner(target_id: str) -> int:
    """Return what the checksums of an instance's or entity's history and inbox begin with."""
    try:
        return crc32(target_id.encode())
    except UnicodeEncodeError:  # of one that was read, and is no UTF-8
        return crc32(original(target_id))


def turn(owner: int, first_event: int, event_count: int, events: bytes) -> int:
    """Return the checksum of a turn in a history."""
    return crc32(events, (owner ^ first_event ^ event_count << 20) & _WORD)


def inbox(owner: int, position: int, event: bytes) -> int:
    """Return the checksum of an event in an inbox."""
    return crc32(event, (owner ^ position ^ position >> 32) & _WORD)


def task(task_key: int, instance_id: str, execution_id: str, task_id: int, request: bytes) -> int:
    """Return the checksum of an activity that waits."""
    text = f"{task_key}\0{instance_id}\0{execution_id}\0{task_id}"
    return crc32(request, crc32(original(text)))


def delayed(
    delayed_key: int, due_at: int, target_id: str, execution_id: str | None, event: bytes
) -> int:
    """Return the checksum of a message that is not yet due."""
    text = f"{delayed_key}\0{due_at}\0{target_id}\0{execution_id}"
    return crc32(event, crc32(original(text)))


def entity(
    entity_id: str,
    state: str | None,
    holder_id: str | None,
    critical_section_id: str | None,
    modified_at: int,
) -> int:
    """Return the checksum of an entity."""
    mark = "" if state is None else "="
    text = f"{entity_id}\0{holder_id}\0{critical_section_id}\0{modified_at}\0{mark}{state}"
    return crc32(original(text))


def section(critical_section_id: str, instance_id: str) -> int:
    """Return the checksum of a critical section."""
    return crc32(original(f"{critical_section_id}\0{instance_id}"))


def check(stored: int | None, computed: Callable[[], int]) -> str | None:
    """Return what is wrong with a row, or None."""
    if stored is None:
        return None
    try:
        found = computed()
    except _OF_ANOTHER_TYPE:
        return "a value has another type than was written"
    return None if found == stored else "its checksum is wrong"


@dataclass(frozen=True)
class Covered:
    """One table: what identifies a row, whose it is, and what its checksums are over."""

    table: str
    index: str | None
    """The index that has the ids of the owners once more."""
    key: str
    columns: str
    owner: int
    """Which of the columns is the id of the instance or entity that a row belongs to."""
    sums: tuple[str, ...]
    compute: Callable[[tuple[Any, ...]], Sums]

    def chunk(
        self, connection: sqlite3.Connection, after: object | None
    ) -> list[tuple[object, tuple[Any, ...], Sums]]:
        """Return the next rows behind a key: key, columns and checksums of each."""
        behind = f"WHERE {self.key} > ?" if after is not None else ""
        rows = connection.execute(
            f"SELECT {self.key}, {', '.join(self.sums)}, {self.columns} FROM {self.table} {behind}"
            f" ORDER BY {self.key} LIMIT {_CHUNK}",
            (after,) if after is not None else (),
        ).fetchall()
        end = 1 + len(self.sums)
        return [(row[0], row[end:], row[1:end]) for row in rows]

    def fault(self, key: object, row: tuple[Any, ...], stored: Sums) -> DamagedRow | None:
        """Return what is wrong with a row, or None."""
        if all(one is None for one in stored):
            return None
        try:
            found = self.compute(row)
        except _OF_ANOTHER_TYPE:
            return self.damaged(key, row, "a value has another type than was written")
        for name, was, now in zip(self.sums, stored, found, strict=True):
            if was is not None and was != now:
                return self.damaged(key, row, f"its {name.replace('_', ' ')} is wrong")
        return None

    def damaged(self, key: object, row: tuple[Any, ...], what: str) -> DamagedRow:
        """Return what tells of a damaged row."""
        return DamagedRow(self.table, key, str(row[self.owner]), what)

    def with_owner(
        self, connection: sqlite3.Connection, key: object, row: tuple[Any, ...], stored: Sums
    ) -> tuple[Any, ...]:
        """Return a damaged row with the id by which it is found, should that be its true one."""
        if self.index is None:
            return row
        column = self.columns.split(", ")[self.owner]
        found = connection.execute(
            f"SELECT {self.key}, {column} FROM {self.table} INDEXED BY {self.index}"
            f" WHERE {column} >= ''"
        )
        for other_key, owner_id in found:
            if other_key == key:
                better = (*row[: self.owner], owner_id, *row[self.owner + 1 :])
                return better if self.fault(key, better, stored) is None else row
        return row


HEAD = "instance_id, execution_id, name, version, created_at, scheduled_at, parent_id, started"
PROGRESS = (
    "status, suspended, history_length, updated_at, completed_at, custom_status, trace, failure"
)


def _instance(row: tuple[Any, ...]) -> Sums:
    given, output = row[16:18]
    return (
        head(*row[:8]),
        progress(row[0], *row[8:16]),
        payload(row[0], given),
        payload(row[0], output),
    )


COVERED = (
    Covered(
        "instances",
        "sqlite_autoindex_instances_1",
        "rowid",
        f"{HEAD}, {PROGRESS}, input, output",
        0,
        ("checksum", "progress_checksum", "input_checksum", "output_checksum"),
        _instance,
    ),
    Covered(
        "history",
        "sqlite_autoindex_history_1",
        "rowid",
        "instance_id, first_event, event_count, events",
        0,
        ("checksum",),
        lambda row: (turn(owner(row[0]), *row[1:]),),
    ),
    Covered(
        "inbox",
        "inbox_by_target",
        "position",
        "target_id, position, event",
        0,
        ("checksum",),
        lambda row: (inbox(owner(row[0]), *row[1:]),),
    ),
    Covered(
        "tasks",
        "tasks_by_instance",
        "task_key",
        "task_key, instance_id, execution_id, task_id, request",
        1,
        ("checksum",),
        lambda row: (task(*row),),
    ),
    Covered(
        "delayed",
        "delayed_by_target",
        "delayed_key",
        "delayed_key, due_at, target_id, execution_id, event",
        2,
        ("checksum",),
        lambda row: (delayed(*row),),
    ),
    Covered(
        "entities",
        "sqlite_autoindex_entities_1",
        "rowid",
        "entity_id, state, holder_id, critical_section_id, modified_at",
        0,
        ("checksum",),
        lambda row: (entity(*row),),
    ),
    Covered(
        "critical_sections",
        None,
        "critical_section_id",
        "critical_section_id, instance_id",
        1,
        ("checksum",),
        lambda row: (section(*row),),
    ),
)


def add_missing(connection: sqlite3.Connection) -> None:
    """Give every row that has no checksum the one of what it holds now."""
    for covered in COVERED:
        assignments = ", ".join(f"{name} = ?" for name in covered.sums)
        after: object | None = None
        while rows := covered.chunk(connection, after):
            connection.executemany(
                f"UPDATE {covered.table} SET {assignments} WHERE {covered.key} = ?",
                [(*covered.compute(row), key) for key, row, _ in rows],
            )
            after = rows[-1][0]
