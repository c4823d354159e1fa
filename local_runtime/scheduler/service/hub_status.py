"""What a task hub says of itself: what waits, who works, what goes on in the background."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local_runtime.background import TaskReport
from local_runtime.scheduler.dispatch.large_work import Trouble
from local_runtime.scheduler.dispatch.workers import WorkerState
from local_runtime.scheduler.storage.set_aside import SetAside


@dataclass(frozen=True)
class HubStatus:
    """One task hub at one moment."""

    name: str
    waiting: Mapping[str, int]
    """How many work items wait for a worker, by kind."""
    workers: Sequence[WorkerState]
    troubles: Sequence[Trouble]
    tasks: Sequence[TaskReport]
    set_aside: Sequence[SetAside]
    """The rows of its file that cannot be read."""
    disk_problem: str
    """Why the file cannot be written or read; empty while it can."""
