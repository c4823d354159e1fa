"""Instances and entities with something to do: who is ready, held back, parked, or busy."""

from collections.abc import Callable

from local_runtime.scheduler.dispatch.fan_in import FanIn, Timer
from local_runtime.scheduler.dispatch.queues import TargetQueue, Wanted
from local_runtime.scheduler.dispatch.streams import Kind
from local_runtime.scheduler.storage import messages


class Targets:
    """Each instance and entity is in one of these states, so that it has one piece of work at most.

    It is busy from the moment its work is being put together until the completion is on disk.
    """

    def __init__(
        self, activities_out: Callable[[str], int], changed: Callable[[], None], timer: Timer
    ) -> None:
        self._queues = {Kind.ORCHESTRATION: TargetQueue(), Kind.ENTITY: TargetQueue()}
        self._busy: set[str] = set()
        self._again: set[str] = set()  # busy ones that got another message meanwhile
        self._fan_in = FanIn(activities_out, self._release, timer)
        self._changed = changed

    @property
    def is_settled(self) -> bool:
        """Whether none is busy, and none about to be."""
        return not (self._busy or self._fan_in or any(self._queues.values()))

    def waiting(self, kind: Kind) -> int:
        """How many of a kind wait for a worker."""
        return self._queues[kind].waiting()

    def add(self, target_id: str) -> None:
        """There is a message: it is ready, now or once it is free."""
        if target_id in self._busy:
            self._again.add(target_id)
        elif messages.is_entity(target_id):
            self._queues[Kind.ENTITY].add(target_id)
        elif not self._fan_in.holds(target_id):
            self._queues[Kind.ORCHESTRATION].add(target_id)

    def unpark(self, kind: Kind, wanted: Wanted) -> None:
        """Make those ready that a worker with room now wants."""
        self._queues[kind].unpark(wanted)

    def has_ready(self, kind: Kind) -> bool:
        """Whether any of a kind is ready."""
        return bool(self._queues[kind])

    def take(self, kind: Kind) -> str:
        """Return the one that has been ready for the longest time; it is busy from now on."""
        target_id = self._queues[kind].take()
        self._busy.add(target_id)
        return target_id

    def park(self, kind: Kind, target_id: str, name: str, version: str | None) -> None:
        """Keep one that no worker wants."""
        self.forget(target_id)
        self._queues[kind].park(target_id, name, version)

    def free(self, target_id: str) -> None:
        """Its work is done: it is ready if a message came meanwhile."""
        self._busy.discard(target_id)
        if target_id in self._again:
            self._again.discard(target_id)
            self.add(target_id)

    def free_again(self, target_id: str) -> None:
        """Its work was not done: it is ready."""
        self._again.add(target_id)
        self.free(target_id)

    def forget(self, target_id: str) -> None:
        """Its work is void."""
        self._busy.discard(target_id)
        self._again.discard(target_id)

    def drop(self, target_id: str) -> None:
        """It has ended or was deleted: whatever it was ready for is void."""
        self._fan_in.drop(target_id)
        for queue in self._queues.values():
            queue.drop(target_id)

    def _release(self, instance_id: str) -> None:
        if instance_id in self._busy:
            self._again.add(instance_id)
        else:
            self._queues[Kind.ORCHESTRATION].add(instance_id)
        self._changed()
