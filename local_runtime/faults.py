"""Named points at every durable edge where a test can kill or stop the process.

Off unless the environment variable `LOCAL_RUNTIME_FAULT` names a point as `point:n`: the process
then kills itself with SIGKILL when it reaches that point for the n-th time. Several points, with
commas, count one after the other: `delayed.half,commit.after` is the first commit after the first
time that a delayed message was under way. With `stop@` before it a point stops the process there
with SIGSTOP, until somebody sends it SIGCONT: `stop@turn.half:2`, `delayed.half,stop@commit.after`.
"""

import os
import signal

_STOP = "stop@"


def _steps(wanted: str) -> list[tuple[str, int | None]]:
    """Return what is to be reached, a point as often as it is there, and what happens there."""
    found: list[tuple[str, int | None]] = []
    for step in filter(None, wanted.split(",")):
        point, _, count = step.removeprefix(_STOP).partition(":")
        found += [(point, None)] * (int(count or 1) - 1)
        found.append((point, signal.SIGSTOP if step.startswith(_STOP) else None))
    if found and found[-1][1] is None:
        found[-1] = (found[-1][0], signal.SIGKILL)
    return found


_left = _steps(os.environ.get("LOCAL_RUNTIME_FAULT", ""))


def reach(point: str) -> None:
    """Die or stop here if a test asked for it; otherwise do nothing."""
    if not _left or _left[0][0] != point:
        return
    _, number = _left.pop(0)
    if number is not None:
        os.kill(os.getpid(), number)
