"""When a timer is due: an NCRONTAB expression in a time zone, or an interval."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from local_runtime.functions_host.triggers.timer.interval import parse_interval
from local_runtime.functions_host.triggers.timer.ncrontab import Ncrontab

_END = datetime.max.replace(tzinfo=UTC)
_MINUTE = timedelta(minutes=1)


class Schedule(Protocol):
    """Says when a timer is due next."""

    @property
    def zone(self) -> tzinfo:
        """The time zone that its moments are shown in."""
        ...

    @property
    def follows_clock(self) -> bool:
        """Whether it goes by a wall clock, and so heeds the changes to and from summer time."""
        ...

    def next_after(self, moment: datetime) -> datetime:
        """Return the first time after `moment` that it is due; both have their time zone."""
        ...

    def under_a_minute(self, now: datetime) -> bool:
        """Whether it comes more than once a minute; of such a timer no state is kept."""
        ...


def parse_schedule(text: str, zone: tzinfo) -> Schedule:
    """Read an NCRONTAB expression or an interval.

    Raises:
        ScheduleError: It is neither.
    """
    interval = parse_interval(text)
    if interval is not None:
        return IntervalSchedule(interval, zone)
    return CronSchedule(Ncrontab.parse(text), zone)


@dataclass(frozen=True)
class IntervalSchedule:
    """Due again and again after the same length of time."""

    interval: timedelta
    zone: tzinfo
    follows_clock: bool = False

    def next_after(self, moment: datetime) -> datetime:
        """Return the time one interval after `moment`."""
        try:
            return moment.astimezone(UTC) + self.interval
        except OverflowError:
            return _END

    def under_a_minute(self, now: datetime) -> bool:
        """Whether the interval is shorter than a minute."""
        return self.interval < _MINUTE


@dataclass(frozen=True)
class CronSchedule:
    """Due whenever the wall clock of a time zone matches an expression.

    What the clock leaves out when it goes forward comes by as much later. What it shows twice when
    it goes back counts once, the first time, except for an expression that repeats: that goes on.
    """

    expression: Ncrontab
    zone: tzinfo
    follows_clock: bool = True

    def next_after(self, moment: datetime) -> datetime:
        """Return the first time after `moment` that the wall clock matches."""
        first = self._next_shown_first(moment)
        again = self._next_shown_again(moment) if self.expression.repeats else None
        return min(first, again) if again else first

    def under_a_minute(self, now: datetime) -> bool:
        """Whether it comes twice in the minute after `now`."""
        return self.next_after(self.next_after(now)) <= now + _MINUTE

    def _next_shown_first(self, moment: datetime) -> datetime:
        shown = moment.astimezone(self.zone).replace(tzinfo=None)
        while (match := self.expression.next_after(shown)) is not None:
            found = match.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
            if found > moment:
                return found
            shown = match
        return _END

    def _next_shown_again(self, moment: datetime) -> datetime | None:
        """Return the next match in the time that the clock is showing twice just now, if any."""
        if not _is_shown_twice(moment.astimezone(self.zone)):
            return None
        before = moment
        while before.astimezone(self.zone).fold == 0:
            before = before.replace(second=0, microsecond=0) + _MINUTE
        shown = before.astimezone(self.zone).replace(tzinfo=None, fold=0)
        if before is not moment:
            shown -= timedelta(seconds=1)  # the first moment of it may match, too
        match = self.expression.next_after(shown)
        if match is None:
            return None
        found = match.replace(tzinfo=self.zone, fold=1)
        return found.astimezone(UTC) if _is_shown_twice(found) else None


def _is_shown_twice(local: datetime) -> bool:
    earlier, later = (local.replace(fold=fold).utcoffset() for fold in (0, 1))
    return earlier is not None and later is not None and earlier > later
