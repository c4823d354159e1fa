"""NCRONTAB expressions, as Azure Functions reads them: which moments of a wall clock they match.

Not croniter's dialect: here a day must match both the day of the month and the day of the week,
names may be shortened to their first letters, 7 is no day, and a range may be written backwards.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

_MONTHS = "january february march april may june july august september october november december"
_DAYS = "sunday monday tuesday wednesday thursday friday saturday"
# The longest way from one match to the next: a 29 February that is a certain day of the week.
_LONGEST_WAIT = timedelta(days=41 * 366)


class ScheduleError(ValueError):
    """A schedule cannot be read; the message says which, and what it should be."""


@dataclass(frozen=True)
class _Kind:
    """One field of an expression: its name, its values, and what the values may be called."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()


_KINDS = (
    _Kind("second", 0, 59),
    _Kind("minute", 0, 59),
    _Kind("hour", 0, 23),
    _Kind("day", 1, 31),
    _Kind("month", 1, 12, tuple(_MONTHS.split())),
    _Kind("day of week", 0, 6, tuple(_DAYS.split())),
)


@dataclass(frozen=True)
class Ncrontab:
    """The values that each field of an expression allows."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    repeats: bool
    """Whether it is an interval (`*`, `/` or `-` in its time) and not a few times of the day."""

    @classmethod
    def parse(cls, text: str) -> "Ncrontab":
        """Read an expression of six fields, or of five, which are those without the second.

        Raises:
            ScheduleError: It is malformed, or it never matches.
        """
        fields = text.split(" ")
        fields = [field for field in fields if field]
        if len(fields) not in (5, 6):
            raise ScheduleError(
                f"{text!r} has {len(fields)} field(s); a schedule has six: "
                "{second} {minute} {hour} {day} {month} {day-of-week}, or is an interval: 00:05:00"
            )
        fields = ["0"] * (6 - len(fields)) + fields
        values = [_values(kind, field) for kind, field in zip(_KINDS, fields, strict=True)]
        seconds, minutes, hours, days, months, weekdays = values
        # The real host looks at the expression as its library writes it out: neighbouring values
        # become a range, and so an interval; values apart, `*/10` as well, become a list.
        repeats = any(
            value + 1 in chosen for chosen in (seconds, minutes, hours) for value in chosen
        )
        expression = cls(seconds, minutes, hours, days, months, weekdays, repeats)
        if expression.next_after(datetime(2000, 1, 1)) is None:  # noqa: DTZ001 - a wall clock's
            raise ScheduleError(f"{text!r} never comes: no month of it has such a day")
        return expression

    def next_after(self, local: datetime) -> datetime | None:
        """Return the first matching second after `local`; both are a wall clock's, without zone."""
        begin = local.replace(microsecond=0) + timedelta(seconds=1)
        for day in _days_from(begin.date()):
            if not self._has(day):
                continue
            earliest = begin.time() if day == begin.date() else time()
            found = self._first_time(earliest)
            if found is not None:
                return datetime.combine(day, found)
        return None

    def _has(self, day: date) -> bool:
        return (
            day.month in self.months
            and day.day in self.days
            and day.isoweekday() % 7 in self.weekdays
        )

    def _first_time(self, earliest: time) -> time | None:
        for hour in _from(self.hours, earliest.hour):
            same_hour = hour == earliest.hour
            for minute in _from(self.minutes, earliest.minute if same_hour else 0):
                same_minute = same_hour and minute == earliest.minute
                for second in _from(self.seconds, earliest.second if same_minute else 0):
                    return time(hour, minute, second)
        return None


def _from(values: Iterable[int], first: int) -> list[int]:
    return sorted(value for value in values if value >= first)


def _days_from(first: date) -> Iterator[date]:
    for ahead in range(_LONGEST_WAIT.days):
        try:
            yield first + timedelta(days=ahead)
        except OverflowError:
            return


def _values(kind: _Kind, text: str) -> frozenset[int]:
    return frozenset[int]().union(*(_part(kind, part) for part in text.split(",")))


def _part(kind: _Kind, text: str) -> set[int]:
    span, slash, step_text = text.partition("/")
    step = _number(kind, step_text, text) if slash else 1
    first_text, dash, last_text = span.partition("-")
    if span == "*":
        first, last = kind.first, kind.last
    elif dash:
        first, last = sorted((_value(kind, first_text, text), _value(kind, last_text, text)))
    else:
        first = _value(kind, span, text)
        last = kind.last if slash else first
    return set(range(first, last + 1, max(step, 1)))


def _value(kind: _Kind, text: str, whole: str) -> int:
    if text.isascii() and text.isdigit():
        value = _number(kind, text, whole)
    else:
        # The first that begins so: `ma` is March, and `m` as well.
        matching = [
            number
            for number, name in enumerate(kind.names, kind.first)
            if text and name.startswith(text.lower())
        ]
        if not matching:
            raise _wrong(kind, whole)
        value = matching[0]
    if not kind.first <= value <= kind.last:
        raise _wrong(kind, whole)
    return value


def _number(kind: _Kind, text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _wrong(kind, whole)
    return int(text)


def _wrong(kind: _Kind, text: str) -> ScheduleError:
    names = f" or names such as {kind.names[0][:3].capitalize()!r}" if kind.names else ""
    return ScheduleError(
        f"{text!r} is no value of the field {kind.name!r}, which takes {kind.first} to "
        f"{kind.last}{names}, lists (1,2), ranges (1-5) and steps (*/5)"
    )
