"""Intervals of a timer, written as .NET writes a TimeSpan: `00:05:00` is five minutes."""

import re
from datetime import timedelta

from local_runtime.functions_host.triggers.timer.ncrontab import ScheduleError

_DAYS = re.compile(r"(?P<days>\d{1,8})", re.ASCII)
_CLOCK = re.compile(
    r"(?:(?P<days>\d{1,8})\.)?(?P<hours>\d{1,2}):(?P<minutes>\d{1,2})"
    r"(?::(?P<seconds>\d{1,2})(?:\.(?P<fraction>\d{1,7}))?)?",
    re.ASCII,
)
_COLONS = re.compile(
    r"(?P<days>\d{1,8}):(?P<hours>\d{1,2}):(?P<minutes>\d{1,2})"
    r"(?::(?P<seconds>\d{1,2})(?:\.(?P<fraction>\d{1,7}))?)?",
    re.ASCII,
)
_LIMITS = {"hours": 24, "minutes": 60, "seconds": 60}


def parse_interval(text: str) -> timedelta | None:
    """Return the length of time that `text` names; None if it is not written as one.

    As in .NET, `24:00:00` is 24 days: where there can be no such hour, the first number is days.

    Raises:
        ScheduleError: It is no length of time to wait.
    """
    for form in (_DAYS, _CLOCK, _COLONS):
        match = form.fullmatch(text.strip())
        if match is None:
            continue
        parts = {name: int(value) for name, value in match.groupdict("0").items()}
        if any(parts.get(name, 0) >= limit for name, limit in _LIMITS.items()):
            continue
        fraction = (match.groupdict("0").get("fraction") or "0").ljust(7, "0")[:6]
        parts.pop("fraction", None)
        interval = timedelta(microseconds=int(fraction), **parts)
        if not interval:
            raise ScheduleError(f"{text!r} is no time to wait; an interval must be longer than 0")
        return interval
    return None
