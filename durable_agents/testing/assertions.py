"""What tests say of an orchestration. Each raises an AssertionError that shows what is there."""

import re
from typing import Any

from durable_agents.testing.runs import Call, Failure, Run

_NOTHING = object()


def assert_completed(run: Run, output: Any = _NOTHING) -> None:
    """Assert that an orchestration has ended well; with this output, if one is given."""
    assert run.status == "Completed", _state(run)
    if output is not _NOTHING:
        assert run.output == output, f"{run} has the output {run.output!r}, not {output!r}"


def assert_failed(run: Run, type: str | type[Exception], match: str = "") -> Failure:
    """Assert that an orchestration has failed; return why.

    Args:
        run: The orchestration.
        type: The error it failed with: its class, or the name of that.
        match: A regular expression that is found in the message.
    """
    assert run.status == "Failed", _state(run)
    assert run.failure is not None
    name = type if isinstance(type, str) else type.__name__
    assert run.failure.type == name, f"{run} failed with {run.failure}, not with {name}"
    found = re.search(match, run.failure.message)
    assert found, f"{match!r} is not in {run.failure.message!r}"
    return run.failure


def assert_waiting(run: Run) -> None:
    """Assert that an orchestration has not ended."""
    assert not run.has_ended, _state(run)


def assert_called(run: Run, name: str, times: int | None = None) -> list[Call]:
    """Assert that an activity was called, so many times if that is given; return the calls."""
    found = run.calls(name)
    if times is None:
        assert found, f"{run} did not call '{name}', but {run.activities}"
    else:
        shown = f"{run} called '{name}' {len(found)} times, not {times}; in all {run.activities}"
        assert len(found) == times, shown
    return found


def _state(run: Run) -> str:
    match run.status:
        case "Failed":
            return f"{run} failed with {run.failure}"
        case "Completed":
            return f"{run} has ended with {run.output!r}"
        case _:
            return f"{run} waits for {run.waits_for()}"
