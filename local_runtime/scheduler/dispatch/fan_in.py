"""Holds back the turn of an instance that waits for many activities, while their results come in.

A turn replays the whole history. One for each of a thousand results that come one after the other
would replay a thousand times; one that waits a little finds hundreds of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

_MANY = 8  # activities still out: below, a turn for each result costs little
_QUIET_SECONDS = 0.003  # when nothing has come for so long, the turn is not held any more
_SECONDS_EACH = 0.0005  # how long it is held at most, for each activity still out ...
_MOST_SECONDS = 0.1  # ... and altogether


class Timer(Protocol):
    """Calls back at a time of its own, in seconds; every event loop is one."""

    def time(self) -> float:
        """Return the present time."""
        ...

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> object:
        """Call back at a time."""
        ...


@dataclass(slots=True)
class _Held:
    last: float  # when an event came last
    until: float  # when the turn goes out, whatever comes


class FanIn:
    """The instances whose turns are held, and since when."""

    def __init__(
        self, out: Callable[[str], int], release: Callable[[str], None], timer: Timer
    ) -> None:
        self._out = out
        self._timer = timer
        self._release = release
        self._held: dict[str, _Held] = {}

    def __bool__(self) -> bool:
        """Whether any turn is held."""
        return bool(self._held)

    def holds(self, instance_id: str) -> bool:
        """Take note of an event for an instance; whether its turn is held, to be released later."""
        out = self._out(instance_id)
        if out < _MANY:
            self._held.pop(instance_id, None)
            return False
        now = self._timer.time()
        held = self._held.get(instance_id)
        if held is not None:
            held.last = now
            return True
        seconds = min(out * _SECONDS_EACH, _MOST_SECONDS)
        held = self._held[instance_id] = _Held(now, now + seconds)
        self._timer.call_at(now + _QUIET_SECONDS, self._look, instance_id, held)
        return True

    def drop(self, instance_id: str) -> None:
        """Forget an instance: its turn is void."""
        self._held.pop(instance_id, None)

    def _look(self, instance_id: str, held: _Held) -> None:
        if self._held.get(instance_id) is not held:
            return
        due = min(held.last + _QUIET_SECONDS, held.until)
        if self._timer.time() < due:
            self._timer.call_at(due, self._look, instance_id, held)
            return
        del self._held[instance_id]
        self._release(instance_id)
