"""What the test's scheduler knows: instances, entities, work to do, and what is due later."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass, field
from datetime import datetime

from durabletask.internal import orchestrator_service_pb2 as pb

from durable_agents.testing import events
from durable_agents.testing.entities import Answer, Entity, Lock, entity_id, to_caller
from durable_agents.testing.instances import TERMINAL, Execution, Instance, Received


class InstanceNotFound(LookupError):
    """No instance has this id."""


class InstanceExists(ValueError):
    """An instance of this id is there, and may not be replaced."""


type WorkKey = tuple[str, str, int]
"""Instance id, execution id and task id of an activity."""


@dataclass
class ActivityWork:
    """An activity that an orchestration waits for.

    Attributes:
        key: Who waits for it.
        name: Its name.
        given: Its input, a JSON text.
        at: When it was asked for.
        runs: How often it has been begun.
        output: What it returned, a JSON text.
        failure: Why it failed.
        is_done: Whether its result has been recorded.
    """

    key: WorkKey
    name: str
    given: str | None
    at: datetime
    runs: int = 0
    output: str | None = None
    failure: pb.TaskFailureDetails | None = None
    is_done: bool = False


@dataclass(order=True)
class Delayed:
    """An event that is delivered when it is due, and not before."""

    due: datetime
    place: int
    target: str = field(compare=False)
    event: pb.HistoryEvent = field(compare=False)
    execution: str | None = field(compare=False, default=None)


@dataclass(frozen=True)
class WaitBegun:
    """A durable timer that an instance has set, and how long it is."""

    instance_id: str
    at: datetime
    due: datetime


@dataclass(eq=False)
class Poll:
    """A durable client's call that waits for an instance.

    Attributes:
        instance_id: The instance.
        is_answered: Whether what it waits for has come.
        deadline: When it gives up, in the test's time.
        is_the_tests: Whether the test itself has made it, and no function of the app.
    """

    instance_id: str
    is_answered: Callable[[], bool]
    deadline: datetime | None
    is_the_tests: bool

    def waits(self, now: datetime) -> bool:
        """Whether it has to wait, though it may not have been told that it need not."""
        return not self.is_answered() and (self.deadline is None or now < self.deadline)


class TaskHub:
    """The state of the scheduler.

    Args:
        now: The moment at which its clock stands, in UTC.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.round = 0
        self.instances: dict[str, Instance] = {}
        self.entities: dict[str, Entity] = {}
        self.activities: dict[WorkKey, ActivityWork] = {}
        self.work_log: list[ActivityWork] = []
        self.waits: list[WaitBegun] = []
        self.delayed: list[Delayed] = []
        self.sections: set[Lock] = set()
        self.polls: list[Poll] = []
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()

    def new_id(self) -> str:
        """Return an id that is given only once, and the same in every run of a test."""
        return f"{next(self._numbers):032x}"

    def notify(self) -> None:
        """Wake everybody who waits for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Wait until something has changed."""
        await self._changed.wait()

    @contextlib.contextmanager
    def polling(self, poll: Poll) -> Generator[None]:
        """Count a call that waits, as long as it does."""
        self.polls.append(poll)
        self.notify()
        try:
            yield
        finally:
            self.polls.remove(poll)
            self.notify()

    def send(
        self,
        target: str,
        event: pb.HistoryEvent,
        *,
        execution: str | None = None,
        due: datetime | None = None,
    ) -> None:
        """Deliver an event now, or when it is due; what nobody is there to read is dropped."""
        if due is not None and due > self.now:
            place = next(self._numbers)
            self.delayed.append(Delayed(due, place, target, event, execution))
        elif target.startswith("@"):
            self.entity(target).queue.append(event)
        else:
            instance = self.instances.get(target)
            if instance is None or instance.has_ended:
                return
            if execution in (None, instance.execution.id):
                instance.inbox.append(Received(event, self.round))
        self.notify()

    def tell(self, answer: Answer) -> None:
        """Deliver an answer now."""
        if answer.target:
            self.send(answer.target, answer.event, execution=answer.execution)

    def entity(self, name: str) -> Entity:
        """Return an entity; one that is not there has no state."""
        return self.entities.setdefault(entity_id(name), Entity(entity_id(name)))

    def next_due(self) -> datetime | None:
        """Return when something is due next."""
        self.delayed = [one for one in self.delayed if self._is_for_someone(one)]
        moments = [one.due for one in self.delayed]
        polls = [poll for poll in self.polls if poll.waits(self.now)]
        moments += [poll.deadline for poll in polls if poll.deadline is not None]
        return min(moments, default=None)

    def pass_to(self, moment: datetime) -> None:
        """Move the clock, and deliver what is due then; it does not go back."""
        self.now = max(self.now, moment)
        self.notify()
        due = sorted(one for one in self.delayed if one.due <= self.now)
        self.delayed = [one for one in self.delayed if one.due > self.now]
        for one in due:
            self.send(one.target, one.event, execution=one.execution)

    def _is_for_someone(self, delayed: Delayed) -> bool:
        if delayed.target.startswith("@"):
            return True
        instance = self.instances.get(delayed.target)
        return (
            instance is not None
            and not instance.has_ended
            and delayed.execution in (None, instance.execution.id)
        )

    def start(
        self,
        started: pb.ExecutionStartedEvent,
        instance_id: str = "",
        *,
        due: datetime | None = None,
        replaceable: Collection[int] = (),
        execution_id: str = "",
    ) -> str:
        """Accept a new instance; return its id.

        Raises:
            InstanceExists: There is one of this id, in a state that may not be replaced.
            ValueError: The id cannot be one.
        """
        instance_id = instance_id or self.new_id()
        if instance_id.startswith("@"):
            raise ValueError(f"'{instance_id}' cannot be an instance id: entity ids begin with @")
        there = self.instances.get(instance_id)
        if there is not None and execution_id and there.executions[0].id == execution_id:
            return instance_id  # the same start once more
        if there is not None:
            self._clear_away(there, replaceable)
        started.orchestrationInstance.instanceId = instance_id
        started.orchestrationInstance.executionId.value = execution_id or self.new_id()
        execution = Execution(started.orchestrationInstance.executionId.value, started)
        instance = Instance(instance_id, self.now, [execution], due=due, updated_at=self.now)
        self.instances[instance_id] = instance
        event = events.started(self.now, started)
        self.send(instance_id, event, execution=execution.id, due=due)
        self.notify()
        return instance_id

    def _clear_away(self, there: Instance, replaceable: Collection[int]) -> None:
        if there.status not in replaceable:
            raise InstanceExists(f"an instance with the id '{there.id}' already exists")
        if not there.has_ended:
            self.end(there, pb.ORCHESTRATION_STATUS_TERMINATED, None, None)
        del self.instances[there.id]

    def start_child(
        self, parent: Instance, task_id: int, child_id: str, started: pb.ExecutionStartedEvent
    ) -> None:
        """Accept a sub-orchestration; one that cannot be fails the parent's task."""
        execution = parent.execution.id
        try:
            self.start(started, child_id, replaceable=TERMINAL)
        except ValueError as error:
            kind = (
                "OrchestrationAlreadyExists"
                if isinstance(error, InstanceExists)
                else "InvalidInstanceId"
            )
            failure = pb.TaskFailureDetails(
                errorType=kind, errorMessage=str(error), isNonRetriable=True
            )
            failed = events.child_failed(self.now, task_id, failure)
            self.send(parent.id, failed, execution=execution)

    def end(
        self,
        instance: Instance,
        status: pb.OrchestrationStatus,
        output: str | None,
        failure: pb.TaskFailureDetails | None,
    ) -> None:
        """End an instance: nothing stays queued for it, its locks are free, its parent is told."""
        instance.status, instance.output, instance.failure = status, output, failure
        instance.suspended = False
        instance.completed_at = instance.updated_at = self.now
        instance.inbox.clear()
        self.drop_work(instance)
        self.release_locks(instance.id)
        if instance.parent is not None:
            self._report(instance, instance.parent)
        self.notify()

    def drop_work(self, instance: Instance) -> None:
        """Forget activities that nobody waits for any more."""
        for key in [key for key in self.activities if key[0] == instance.id]:
            del self.activities[key]

    def release_locks(self, holder: str) -> None:
        """Release all that an orchestration has locked, or has asked to lock."""
        self.sections = {lock for lock in self.sections if lock.holder != holder}
        for entity in self.entities.values():
            if entity.lock is not None and entity.lock.holder == holder:
                entity.lock = None

    def _report(self, instance: Instance, parent: pb.ParentInstanceInfo) -> None:
        task_id = parent.taskScheduledId
        if instance.status == pb.ORCHESTRATION_STATUS_COMPLETED:
            event = events.child_completed(self.now, task_id, instance.output)
        else:
            failure = instance.failure or pb.TaskFailureDetails(
                errorType="SubOrchestrationTerminated",
                errorMessage=f"The sub-orchestration '{instance.id}' was terminated.",
                isNonRetriable=True,
            )
            event = events.child_failed(self.now, task_id, failure)
        reference = parent.orchestrationInstance
        execution = reference.executionId.value or None
        self.send(reference.instanceId, event, execution=execution)

    def children(self, instance_id: str) -> list[Instance]:
        """Return the sub-orchestrations of an instance, in the order of their start."""
        return [one for one in self.instances.values() if one.parent_id == instance_id]

    def require(self, instance_id: str) -> Instance:
        """Return an instance.

        Raises:
            InstanceNotFound: There is none of this id.
        """
        instance = self.instances.get(instance_id)
        if instance is None:
            raise InstanceNotFound(f"there is no orchestration instance with the id {instance_id}")
        return instance

    def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """Tell an instance something; one that has ended does not listen.

        Raises:
            InstanceNotFound: There is none of this id.
        """
        self.require(instance_id)
        self.send(instance_id, events.raised(self.now, name, data))

    def suspend(self, instance_id: str, reason: str | None) -> None:
        """Pause an instance; one that is paused or has ended stays as it is.

        Raises:
            InstanceNotFound: There is none of this id.
        """
        instance = self.require(instance_id)
        if not instance.has_ended and not instance.suspended:
            instance.suspended, instance.status = True, pb.ORCHESTRATION_STATUS_SUSPENDED
            self.send(instance_id, events.suspended(self.now, reason))

    def resume(self, instance_id: str, reason: str | None) -> None:
        """Let a paused instance go on; any other stays as it is.

        Raises:
            InstanceNotFound: There is none of this id.
        """
        instance = self.require(instance_id)
        if not instance.has_ended and instance.suspended:
            began = bool(instance.execution.past)
            instance.suspended = False
            instance.status = (
                pb.ORCHESTRATION_STATUS_RUNNING if began else pb.ORCHESTRATION_STATUS_PENDING
            )
            self.send(instance_id, events.resumed(self.now, reason))

    def terminate(self, instance_id: str, output: str | None, *, recurse: bool) -> bool:
        """End an instance, and its sub-orchestrations if asked; return whether it is there."""
        instance = self.instances.get(instance_id)
        if instance is None:
            return False
        if not instance.has_ended:
            new = [events.turn_started(self.now)]
            if not instance.execution.past:
                new.append(events.started(self.now, instance.execution.started))
            status = pb.ORCHESTRATION_STATUS_TERMINATED
            new.append(events.terminated(self.now, output, recurse=recurse))
            new.append(events.turn_completed(self.now))
            new.append(events.ended(self.now, status, output, None))
            instance.execution.past += new
            self.end(instance, status, output, None)
            if recurse:
                for child in self.children(instance_id):
                    self.terminate(child.id, output, recurse=True)
        return True

    def purge(self, instance_id: str, *, recursive: bool) -> int:
        """Delete what has ended, or an entity; return how many were deleted."""
        if instance_id.startswith("@"):
            return self._purge_entity(self.entity(instance_id))
        instance = self.instances.get(instance_id)
        if instance is None or not instance.has_ended:
            return 0
        children = self.children(instance_id) if recursive else []
        del self.instances[instance_id]
        self.notify()
        return 1 + sum(self.purge(child.id, recursive=True) for child in children)

    def _purge_entity(self, entity: Entity) -> int:
        was_there = entity.state is not None or bool(entity.queue)
        failure = pb.TaskFailureDetails(
            errorType="EntityPurged",
            errorMessage=f"The entity '{entity.id}' was purged before the operation was done.",
        )
        waiting, entity.state = entity.queue, None
        entity.queue = [event for event in waiting if not _is_operation(event)]
        self.delayed = [one for one in self.delayed if entity_id(one.target) != entity.id]
        for event in waiting:
            if event.HasField("entityOperationCalled"):
                called = event.entityOperationCalled
                failed = events.operation_failed(self.now, called.requestId, failure)
                self.tell(to_caller(called, failed))
        return int(was_there)

    def matching(self, wanted: Callable[[Instance], bool]) -> list[Instance]:
        """Return the instances of which something holds, the oldest first."""
        return [instance for instance in self.instances.values() if wanted(instance)]


def _is_operation(event: pb.HistoryEvent) -> bool:
    return event.HasField("entityOperationCalled") or event.HasField("entityOperationSignaled")
