"""Reads a write-ahead log by itself, before SQLite does and cuts off what follows a bad frame.

Source: https://www.sqlite.org/fileformat2.html#the_write_ahead_log. A log is a header and frames,
each one page of the file. Frames of the header's two salts belong to it; older ones behind them
are remains. Each frame has the checksum of everything up to it, and the last frame of a
transaction has the size of the file after it.
"""

import array
import itertools
import math
import struct
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

_HEADER = struct.Struct(">8I")  # magic, format, page size, sequence, 2 salts, 2 checksums
_FRAME = struct.Struct(">6I")  # page, size of the file if it ends a transaction, salts, checksums
_MAGIC = 0x377F0682  # the lowest bit says that checksums read words as big-endian
_WORD = 0xFFFF_FFFF


@dataclass(frozen=True)
class LogDamage:
    """What SQLite would drop without a word."""

    what: str
    transactions: int
    """How many whole transactions stand behind the damage, with the one it is in."""
    kept: int
    """How many bytes of the log are in front of it, up to the end of a transaction."""


class Wal:
    """The content of one log, as it is on disk."""

    def __init__(self, data: bytes, page_size: int) -> None:
        self._data = data
        header = _HEADER.unpack_from(data) if len(data) >= _HEADER.size else None
        self._header_is_good = False
        self._salts = b""
        self._seed = (0, 0)
        self._big_endian = False
        if header is not None and header[0] & ~1 == _MAGIC:
            self._big_endian = bool(header[0] & 1)
            self._salts = data[16:24]
            self._seed = header[6], header[7]
            self._header_is_good = self._sum(data[:24], (0, 0)) == self._seed
            if self._header_is_good:
                page_size = header[2]
        self._frame_size = _FRAME.size + page_size

    @classmethod
    def read(cls, path: Path, page_size: int) -> Self | None:
        """Return the log of a hub's file; None when there is none, or nothing in it.

        Raises:
            OSError: it cannot be read.
        """
        log = path.with_name(f"{path.name}-wal")
        data = log.read_bytes() if log.exists() else b""
        return cls(data, page_size) if data else None

    def first_page(self) -> bytes | None:
        """Return the file's first page as the last transaction has left it, if that is sound."""
        last = self._commits[-1] if self._commits else -1
        for index in range(last, -1, -1):
            frame = self._frame(index)
            if frame[:4] == b"\0\0\0\1" and frame[8:16] == self._salts:
                return frame[_FRAME.size :] if self._is_good(index) else None
        return None

    def damage(self, recovered: int | None) -> LogDamage | None:
        """Return what a start would lose of acknowledged transactions, or None.

        A transaction that was under way when the process or the machine went down was never
        acknowledged: a tail that is torn is no damage. It is one when more was written behind it,
        for a transaction is flushed before the next one begins; or when a single flipped bit
        explains it, for what was not written in time differs in more than that.

        Args:
            recovered: how many frames SQLite has found to be good, where it has said so.
        """
        if not self._header_is_good:
            return self._header_damage()
        first_bad = recovered or 0
        while self._is_own(first_bad) and self._is_good(first_bad):
            first_bad += 1
        kept = max((index for index in self._commits if index < first_bad), default=-1) + 1
        behind = [index for index in self._commits if index >= first_bad]
        more = behind[0] < self._last_own if behind else False
        if not (more or self._is_one_bit_off(first_bad)):
            return None
        return LogDamage(
            f"frame {first_bad + 1} of {self._last_own + 1} has a wrong checksum",
            max(len(behind), 1),
            _HEADER.size + kept * self._frame_size,
        )

    def _header_damage(self) -> LogDamage | None:
        """A log whose header is bad is empty for SQLite, whatever is behind it."""
        frames = range(self._count)
        commits = sum(1 for index in frames if self._frame(index)[4:8] != bytes(4))
        if not frames and len(self._data) >= _HEADER.size:
            return None  # the first write of all: nothing was in it
        return LogDamage("its header is damaged", commits, 0)

    @property
    def _count(self) -> int:
        return max(0, len(self._data) - _HEADER.size) // self._frame_size

    def _frame(self, index: int) -> bytes:
        start = _HEADER.size + index * self._frame_size
        return self._data[start : start + self._frame_size]

    @cached_property
    def _own(self) -> list[int]:
        """Frames that belong to this log, by their salts."""
        if not self._header_is_good:
            return []
        size, first = self._frame_size, _HEADER.size + 8
        return [
            index
            for index in range(self._count)
            if self._data[first + index * size : first + 8 + index * size] == self._salts
        ]

    @cached_property
    def _commits(self) -> list[int]:
        """Frames of this log that end a transaction."""
        size, first = self._frame_size, _HEADER.size + 4
        return [
            index
            for index in self._own
            if self._data[first + index * size : first + 4 + index * size] != bytes(4)
        ]

    @property
    def _last_own(self) -> int:
        return self._own[-1] if self._own else -1

    def _is_own(self, index: int) -> bool:
        return index < self._count and self._frame(index)[8:16] == self._salts

    def _before(self, index: int) -> tuple[int, int]:
        """Return the checksum that the frame before has, which this one's goes on from."""
        if index == 0:
            return self._seed
        found = _FRAME.unpack_from(self._frame(index - 1))
        return found[4], found[5]

    def _is_good(self, index: int) -> bool:
        frame = self._frame(index)
        return frame[8:16] == self._salts and self._sum_of(index) == _FRAME.unpack_from(frame)[4:]

    def _sum_of(self, index: int) -> tuple[int, int]:
        frame = self._frame(index)
        return self._sum(frame[:8] + frame[_FRAME.size :], self._before(index))

    def _is_one_bit_off(self, index: int) -> bool:
        """Whether a frame that is not good would be so with one bit of it turned over."""
        if index >= self._count:
            return False
        frame = self._frame(index)
        found = self._sum_of(index)
        stored = _FRAME.unpack_from(frame)[4:]
        if frame[8:16] != self._salts:
            return found == stored and _bits(frame[8:16], self._salts) == 1
        wrong = (stored[0] - found[0]) & _WORD, (stored[1] - found[1]) & _WORD
        if (stored[0] ^ found[0]).bit_count() + (stored[1] ^ found[1]).bit_count() == 1:
            return True
        return wrong in _effects_of_one_bit((8 + self._frame_size - _FRAME.size) // 4)

    def _sum(self, data: bytes, before: tuple[int, int]) -> tuple[int, int]:
        """Return SQLite's checksum of some words, which goes on from that of those before.

        Its two halves are, by turns, the sum of the last two results and the next word: so each
        word counts as often as a Fibonacci number says. As sums of products, in halves that do
        not grow out of a machine's word, it takes a tenth of the time.
        """
        words = array.array("I", data)
        if (sys.byteorder == "big") != self._big_endian:
            words.byteswap()
        numbers = words.tolist()
        numbers[0] += before[0] + before[1]
        numbers[1] += before[1]
        low, high = _weights(len(numbers))
        even = int(math.sumprod(numbers, low[1:])) + (int(math.sumprod(numbers, high[1:])) << 16)
        odd = int(math.sumprod(numbers, low[:-1])) + (int(math.sumprod(numbers, high[:-1])) << 16)
        return even & _WORD, odd & _WORD


def _fibonacci(count: int) -> list[int]:
    found = [0, 1]
    while len(found) <= count:
        found.append((found[-1] + found[-2]) & _WORD)
    return found


_WEIGHTS: dict[int, tuple[list[int], list[int]]] = {}


def _weights(count: int) -> tuple[list[int], list[int]]:
    """Return how often each of so many words counts, from the first on: lower and upper halves."""
    if count not in _WEIGHTS:
        numbers = _fibonacci(count)[::-1]
        _WEIGHTS[count] = [n & 0xFFFF for n in numbers], [n >> 16 for n in numbers]
    return _WEIGHTS[count]


def _effects_of_one_bit(words: int) -> set[tuple[int, int]]:
    """Return by how much a checksum of so many words changes with each bit that may be wrong."""
    numbers = _fibonacci(words)[::-1]
    return {
        (change * even & _WORD, change * odd & _WORD)
        for odd, even in itertools.pairwise(numbers)
        for bit in range(32)
        for change in (1 << bit, -1 << bit)
    }


def _bits(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()
