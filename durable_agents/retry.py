"""When a failed model request is made again. Pure: the orchestrator decides by recorded facts.

There is one owner of retries. The model client makes one request; this policy stands at the
durable call, and its waits are durable timers.
"""

import math
from collections.abc import Mapping
from datetime import timedelta

from durabletask.task import RetryPolicy

from durable_agents.errors import ConfigurationError
from durable_agents.messages import CallPolicy

FIRST_INTERVAL = "AGENT_RETRY_FIRST_INTERVAL_SECONDS"

# A server that asks for a longer wait is out of order rather than busy: the flow should know.
_LONGEST_RETRY_AFTER = timedelta(days=1)


def default_retry_policy(environ: Mapping[str, str]) -> RetryPolicy:
    """Return the policy of an app that names none: three attempts, 5 s apart and doubling.

    Args:
        environ: The settings; `AGENT_RETRY_FIRST_INTERVAL_SECONDS` sets the first wait.

    Raises:
        ConfigurationError: The setting is not a number of seconds.
    """
    return RetryPolicy(
        first_retry_interval=timedelta(seconds=seconds_setting(environ, FIRST_INTERVAL, 5)),
        max_number_of_attempts=3,
        backoff_coefficient=2,
    )


def call_policy(retry: RetryPolicy, corrections: int) -> CallPolicy:
    """Return the rules of a call in the form that is recorded with it."""
    longest, timeout = retry.max_retry_interval, retry.retry_timeout
    return CallPolicy(
        attempts=retry.max_number_of_attempts,
        first_interval=retry.first_retry_interval.total_seconds(),
        backoff=retry.backoff_coefficient or 1.0,
        longest_interval=None if longest is None else longest.total_seconds(),
        retry_timeout=None if timeout is None else timeout.total_seconds(),
        corrections=corrections,
    )


def next_delay(
    policy: CallPolicy, attempt: int, elapsed: timedelta, retry_after: float | None = None
) -> timedelta | None:
    """Return how long to wait before the attempt after one that failed; None when there is none.

    Args:
        policy: How often, and how far apart.
        attempt: The number of the attempt that failed, from 1.
        elapsed: Time since the first attempt was made, by the orchestration's clock.
        retry_after: A server's Retry-After in seconds; it makes the wait longer, never shorter.
    """
    if attempt >= policy.attempts:
        return None
    delay = _backoff(policy, attempt)
    if retry_after is not None:
        if not 0 <= retry_after <= _LONGEST_RETRY_AFTER.total_seconds():
            return None
        delay = max(delay, timedelta(seconds=retry_after))
    waited = (elapsed + delay).total_seconds()
    if policy.retry_timeout is not None and waited > policy.retry_timeout:
        return None
    return delay


def seconds_setting(environ: Mapping[str, str], name: str, default: float) -> float:
    """Return a setting that is a number of seconds.

    Raises:
        ConfigurationError: It is something else.
    """
    text = environ.get(name, "").strip()
    try:
        seconds = float(text) if text else default
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= timedelta(days=1).total_seconds():
        raise ConfigurationError(f"{name} is {text!r}; set a number of seconds up to one day.")
    return seconds


def _backoff(policy: CallPolicy, attempt: int) -> timedelta:
    longest = policy.longest_interval
    if not longest:  # none, or nothing: then there is no bound of the policy's own
        longest = _LONGEST_RETRY_AFTER.total_seconds()
    try:
        seconds = policy.first_interval * policy.backoff ** (attempt - 1)
    except OverflowError:
        seconds = longest
    return timedelta(seconds=min(seconds, longest))
