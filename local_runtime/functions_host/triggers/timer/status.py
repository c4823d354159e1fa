"""What is kept of a timer: when it ran and when it is due, so that a missed run is noticed."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, cast

from local_runtime.functions_host.triggers.timer.schedule import Schedule
from local_runtime.whole_file import write_whole

_NEVER = "0001-01-01T00:00:00"


@dataclass(frozen=True)
class TimerStatus:
    """When a timer ran and when it is due; the moments are in UTC."""

    last: datetime | None
    """The run before, or None if there was none under this schedule."""
    next: datetime
    updated: datetime

    @classmethod
    def first(cls, schedule: Schedule, now: datetime) -> "TimerStatus":
        """Return the status of a timer that has never run."""
        return cls(None, schedule.next_after(now), now)

    def checked(self, schedule: Schedule, now: datetime) -> "TimerStatus":
        """Return the status as it stands when the timer is started again.

        A timer whose schedule has been changed meanwhile has missed nothing.
        """
        expected = schedule.next_after(self.last or self.updated)
        if expected == self.next:
            return self
        if expected < now:
            return TimerStatus.first(schedule, now)
        return TimerStatus(None, expected, self.last or self.updated)

    def after_run(self, schedule: Schedule, began: datetime) -> "TimerStatus":
        """Return the status after a run that began at `began`."""
        return TimerStatus(began, schedule.next_after(began), began)

    def to_dict(self, zone: tzinfo) -> dict[str, str]:
        """Return it as functions get it and as it is stored: the times of `zone`, in ISO form."""
        return {
            "Last": self.last.astimezone(zone).isoformat() if self.last else _NEVER,
            "LastUpdated": self.updated.astimezone(zone).isoformat(),
            "Next": self.next.astimezone(zone).isoformat(),
        }


def timer_info(schedule: Schedule, status: TimerStatus | None, *, past_due: bool) -> str:
    """Return the JSON that a timer function is invoked with, named as the real host names it."""
    return json.dumps(
        {
            "Schedule": {"AdjustForDST": schedule.follows_clock},
            "ScheduleStatus": status.to_dict(schedule.zone) if status else None,
            "IsPastDue": past_due,
        }
    )


class StatusFile:
    """The status of one timer, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> TimerStatus | None:
        """Return what is stored; None if that is nothing, or nothing that makes sense."""
        try:
            stored = cast("dict[str, Any]", json.loads(self._path.read_text(encoding="utf-8")))
            last = None if stored["Last"] == _NEVER else _moment(stored["Last"])
            return TimerStatus(last, _moment(stored["Next"]), _moment(stored["LastUpdated"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, status: TimerStatus) -> None:
        """Store the status in one step: a crash leaves the one before.

        Raises:
            OSError: The disk does not take it.
        """
        write_whole(self._path, json.dumps(status.to_dict(UTC)))


def _moment(text: object) -> datetime:
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)
