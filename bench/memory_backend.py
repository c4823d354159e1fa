"""The SDK's in-memory backend as a process, with its lost wake-ups mended, to measure against.

As shipped, work that is ready may wait for up to 0.1 s, the limit of the dispatch loop's wait:

- A wake-up that comes between the end of the loop's wait and the reset of its event is lost.
- An instance whose turn is under way stays in the queue when an event for it comes. The loop looks
  at it, looks at nothing behind it, and waits. When the turn completes, the instance counts as
  queued already, so that nothing wakes the loop.

The peer is to be measured at its best, so both are patched out. What else waits in there waits for
its event alone, or is a timer.
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


class _Backend(in_memory_backend.InMemoryOrchestrationBackend):
    def __init__(self, port: int) -> None:
        super().__init__(max_history_size=1_000_000, port=port)
        self._work_available = _Signal()

    def _enqueue_orchestration(self, instance_id: str) -> None:
        """Leave out an instance whose turn is under way: its completion queues it."""
        if instance_id not in self._orchestration_in_flight:
            super()._enqueue_orchestration(instance_id)


def main(port: int) -> None:
    logging.disable(logging.CRITICAL)
    backend = _Backend(port)
    backend.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
