"""Named points at every durable edge where a test can kill the process.

Off unless the environment variable `LOCAL_RUNTIME_FAULT` names a point as `point:n`: the process
then kills itself with SIGKILL when it reaches that point for the n-th time. Several points, with
commas, count one after the other: `delayed.half,commit.after` is the first commit after the first
time that a delayed message was under way.
"""

import os
import signal

# What is still to be reached, a point as often as it is there.
_left: list[str] = [
    point
    for step in os.environ.get("LOCAL_RUNTIME_FAULT", "").split(",")
    for point, _, count in [step.partition(":")]
    if point
    for _ in range(int(count or 1))
]


def reach(point: str) -> None:
    """Die here if a test asked for it; otherwise do nothing."""
    if not _left or _left[0] != point:
        return
    del _left[0]
    if not _left:
        os.kill(os.getpid(), signal.SIGKILL)
