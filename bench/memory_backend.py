"""The SDK's in-memory backend as a process, with its lost wake-up mended, to measure against.

As shipped, a wake-up that comes between the end of its wait and the reset of its event is lost,
and work waits for up to 0.1 s. The peer is to be measured at its best, so that is patched out.
"""

import logging
import sys
import threading

from durabletask.testing import in_memory_backend


class _Signal(threading.Event):
    """An event that its waiter resets as it wakes, so that no later set is lost."""

    def wait(self, timeout: float | None = None) -> bool:
        woken = super().wait(timeout)
        super().clear()
        return woken

    def clear(self) -> None:
        """Do nothing: `wait` has done it."""


def main(port: int) -> None:
    logging.disable(logging.CRITICAL)
    backend = in_memory_backend.InMemoryOrchestrationBackend(max_history_size=1_000_000, port=port)
    backend._work_available = _Signal()
    backend.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
