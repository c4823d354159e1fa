"""Lets a warning or an error that comes again and again into the log only so often.

What fails without end, like a socket of a process that has no open files left, would otherwise fill
a disk in hours, and hide everything else.
"""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

MOST = 20
"""So often the same text is logged in one span."""
SPAN_SECONDS = 60.0

_MAX_TEXTS = 1000  # that are remembered at a time
_LONGEST = 300  # of a text, so much is compared
_NUMBERS = re.compile(r"\d+")

type _Key = tuple[str, int, str]


@dataclass(slots=True)
class _Text:
    since: float
    seen: int = 0
    left_out: int = 0


class Repeats(logging.Filter):
    """Leaves repeated records of these loggers out, and says afterwards how many.

    Records with a traceback are the same if only numbers differ, others if their text is. What an
    app logs is not touched.
    """

    def __init__(
        self, names: tuple[str, ...], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._names = names
        self._monotonic = monotonic
        self._texts: dict[_Key, _Text] = {}
        self._next_look = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is to be logged."""
        now = self._monotonic()
        if self._texts and now >= self._next_look:
            self._next_look = now + SPAN_SECONDS / 6
            self._forget(now)
        if record.levelno < logging.WARNING or not self._is_ours(record.name):
            return True
        text = self._texts.setdefault(_key(record), _Text(now))
        text.seen += 1
        if text.seen <= MOST:
            return True
        text.left_out += 1
        return False

    def _is_ours(self, name: str) -> bool:
        return name.partition(".")[0] in self._names

    def _forget(self, now: float) -> None:
        """Begin anew with texts whose span is over, and tell of what was left out."""
        texts = list(self._texts.items())  # other threads log, too
        over = [(key, text) for key, text in texts if now - text.since >= SPAN_SECONDS]
        if len(texts) - len(over) > _MAX_TEXTS:
            over = texts
        for key, counted in over:
            self._texts.pop(key, None)
            name, level, text = key
            if counted.left_out:
                logging.getLogger(name).log(
                    level,
                    "%d more of this were left out in a minute: %s",
                    counted.left_out,
                    text,
                )


def _key(record: logging.LogRecord) -> _Key:
    text = record.getMessage()[:_LONGEST]
    if record.exc_info:
        kind = record.exc_info[0]
        text = f"{_NUMBERS.sub('#', text)} ({kind.__name__ if kind is not None else ''})"
    return record.name, record.levelno, text
