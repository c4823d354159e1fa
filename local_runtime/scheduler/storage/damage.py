"""Rows whose content is not what was written: how they are told of, and how their text is read."""

import operator
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import DecodeError, Message

from local_runtime.scheduler.engine.limits import shown

ERROR_TYPE = "DamagedData"
"""The type of the failure as which clients see a damaged instance."""


@dataclass
class DamagedRow(Exception):
    """A row that is not what was written, or not there any more; everything else can go on.

    It holds the table, the row's key in it, and the instance or entity that the row belongs to.
    """

    table: str
    key: object
    owner: str
    what: str

    def __str__(self) -> str:
        return (
            f"{readable(self.owner)}: its data in the table {self.table} is damaged "
            f"(row {readable(str(self.key))}: {self.what})"
        )


read_text: Callable[[bytes], str] = operator.methodcaller("decode", "utf-8", "surrogateescape")
"""Makes text of stored bytes; those that are no UTF-8 are kept, and end no statement."""


def is_damage(error: Exception) -> bool:
    """Whether an error is one of damaged data, and not that of a disk or of a program."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)
        return code & 0xFF == sqlite3.SQLITE_CORRUPT  # extended codes add bits above
    return isinstance(error, DamagedRow | DecodeError | UnicodeError)


def as_damage(error: Exception, owner: str) -> DamagedRow:
    """Return damage that was met in reading what belongs to somebody."""
    return error if isinstance(error, DamagedRow) else DamagedRow("?", "?", owner, str(error))


def readable(text: str) -> str:
    """Return a text as others can take it, in one line: what is no UTF-8 in it is replaced."""
    return shown(original(text).decode(errors="replace"))


def is_whole(text: str) -> bool:
    """Whether a text that was read is UTF-8, as all that is written is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def original(text: str) -> bytes:
    """Return the bytes of a text as they are stored."""
    try:
        return text.encode()
    except UnicodeEncodeError:  # of one that was read, and is no UTF-8
        return text.encode("utf-8", "surrogateescape")


def parsed[M: Message](kind: type[M], data: bytes, table: str, key: object, owner: str) -> M:
    """Read a stored message.

    Raises:
        DamagedRow: its bytes are none.
    """
    try:
        return kind.FromString(data)
    except (DecodeError, TypeError) as error:
        raise DamagedRow(table, key, owner, f"its bytes are no {kind.DESCRIPTOR.name}") from error
