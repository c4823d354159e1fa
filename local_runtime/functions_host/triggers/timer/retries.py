"""How often a timer's run that failed is tried again, and when: the policy of `@app.retry`."""

import random
from dataclasses import dataclass
from datetime import timedelta

from local_runtime.functions_host.app.worker_messages import RpcRetryOptions
from local_runtime.functions_host.triggers.timer.ncrontab import ScheduleError

FOR_EVER = -1
_FIXED, _EXPONENTIAL = "fixed_delay", "exponential_backoff"
_SPREAD = 0.2
# A second that has doubled so often is longer than any longest pause.
_MOST_DOUBLINGS = 64


@dataclass(frozen=True)
class RetryPolicy:
    """After how long a run is tried again, and how often at most."""

    most: int = 0
    """How many times; FOR_EVER for any."""
    shortest: timedelta = timedelta()
    longest: timedelta = timedelta()

    @classmethod
    def of(cls, options: RpcRetryOptions | None) -> "RetryPolicy":
        """Read what the worker library found.

        Raises:
            ScheduleError: It makes no sense.
        """
        if options is None:
            return cls()
        if options.max_retry_count < FOR_EVER:
            raise ScheduleError(f"its max_retry_count is {options.max_retry_count}; -1 is for ever")
        match options.retry_strategy:
            case strategy if strategy == _FIXED:
                return cls(options.max_retry_count, options.delay_interval, options.delay_interval)
            case strategy if strategy == _EXPONENTIAL:
                shortest, longest = options.minimum_interval, options.maximum_interval
            case other:
                raise ScheduleError(
                    f"its retry strategy {other!r} is not {_FIXED} or {_EXPONENTIAL}"
                )
        if shortest > longest:
            raise ScheduleError(f"its minimum_interval {shortest} is above the maximum, {longest}")
        return cls(options.max_retry_count, shortest, longest)

    def allows(self, retry: int) -> bool:
        """Return whether a run may be tried again for the time `retry`, which counts from 1."""
        return self.most == FOR_EVER or retry <= self.most

    def pause(self, retry: int) -> timedelta:
        """Return the time before it.

        It is the shortest, then about twice that, and then what is added to the shortest doubles,
        a fifth more or less, up to the longest.
        """
        if retry == 1:
            return self.shortest
        doublings = min(retry - 2, _MOST_DOUBLINGS)
        added = self.shortest.total_seconds() * 2**doublings
        seconds = self.shortest.total_seconds() + added * random.uniform(1 - _SPREAD, 1 + _SPREAD)
        return timedelta(seconds=min(seconds, self.longest.total_seconds()))


NO_RETRIES = RetryPolicy()
