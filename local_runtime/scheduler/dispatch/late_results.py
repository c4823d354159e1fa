"""Results of activities that come under a token which is no lease any more.

The worker's stream was cut, or the scheduler restarted, while the activity ran. Its token names the
task: while the task's row is there, nobody has recorded a result, and this one counts. The deletion
of the row is what makes it count once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from local_runtime.scheduler.dispatch.given_back import GivenBack
from local_runtime.scheduler.dispatch.leases import Lease, Leases, TaskToken
from local_runtime.scheduler.dispatch.queues import TaskQueue
from local_runtime.scheduler.storage.effects import ReadyTask


@dataclass(frozen=True, slots=True)
class LateResult:
    """An activity whose result has come; it is not handed out while that is being recorded."""

    task: ReadyTask
    was_queued: bool


class LateResults:
    """Takes late results, and sees to it that what they are for does not run again."""

    def __init__(
        self,
        read_task: Callable[[int], ReadyTask | None],
        leases: Leases,
        queue: TaskQueue,
        given_back: GivenBack,
    ) -> None:
        self._read_task = read_task
        self._leases = leases
        self._queue = queue
        self._given_back = given_back
        # Tasks whose result is recorded, while another worker still holds them.
        self._recorded: set[int] = set()

    def take(self, token: str) -> LateResult | None:
        """Return what a token that is no lease is for; None when a result under it is not wanted.

        It is not wanted when the task has a result, when the token was given back, and when this
        process has handed the task to another worker since, whose result then counts. One that came
        before, and that the disk did not take, is wanted in any case.
        """
        found = TaskToken.parse(token)
        if found is None:
            return None
        task = self._read_task(found.task_key)
        if task is None or (task.task_id, task.execution_id) != (found.task_id, found.execution_id):
            return None
        counts = self._given_back.counts(token, task.instance_id, task.task_key)
        if counts is None:
            counts = found.process != self._leases.process or not self._held(task)
        if not counts:
            return None
        return LateResult(task, self._queue.remove(task))

    def recorded(self, late: LateResult) -> None:
        """The result is on disk: nobody else needs to run the activity."""
        task = late.task
        self._given_back.done(task.instance_id, task)
        self._queue.remove(task)  # it may have come back meanwhile
        if self._held(task):
            self._recorded.add(task.task_key)

    def refused(self, late: LateResult) -> None:
        """The result could not be recorded: all is as it was."""
        if late.was_queued:
            self._queue.put_back(late.task)

    def settled(self, lease: Lease) -> bool:
        """A lease has ended: whether its activity had a result before."""
        if not self._recorded or not isinstance(lease.work, ReadyTask):
            return False
        if lease.work.task_key not in self._recorded:
            return False
        self._recorded.discard(lease.work.task_key)
        return True

    def _held(self, task: ReadyTask) -> Sequence[Lease]:
        return [
            lease
            for lease in self._leases.of_target(task.instance_id)
            if isinstance(lease.work, ReadyTask) and lease.work.task_key == task.task_key
        ]
