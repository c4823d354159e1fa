"""Named points at every durable edge where a test can kill the process.

Off unless the environment variable `LOCAL_RUNTIME_FAULT` names a point as `point:n`: the process
then kills itself with SIGKILL when it reaches that point for the n-th time.
"""

import os
import signal
from collections import Counter

_wanted, _, _count = os.environ.get("LOCAL_RUNTIME_FAULT", "").partition(":")
_nth = int(_count or 1)
_reached: Counter[str] = Counter()


def reach(point: str) -> None:
    """Die here if a test asked for it; otherwise do nothing."""
    if point != _wanted:
        return
    _reached[point] += 1
    if _reached[point] == _nth:
        os.kill(os.getpid(), signal.SIGKILL)
