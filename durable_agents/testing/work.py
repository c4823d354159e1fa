"""Does the work that a scheduler would hand to workers: turns, operations, activities."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import azure.functions as func
from durabletask.internal import orchestrator_service_pb2 as pb

from durable_agents.testing import events
from durable_agents.testing.asking import Asker, Verified, current_asker
from durable_agents.testing.decisions import apply_operations, apply_turn
from durable_agents.testing.entities import Entity
from durable_agents.testing.functions import ActivityError, AppFunction, AppFunctions
from durable_agents.testing.http_requests import Answer, answer_of
from durable_agents.testing.instances import Instance
from durable_agents.testing.task_hub import ActivityWork, TaskHub, WorkKey

# How long turns wait for activities that run: results that come together are told together, so
# that a test's history does not depend on which was faster. One that polls for a turn's result
# would wait for ever.
_TOGETHER_SECONDS = 1.0


@dataclass
class Conduct:
    """How activities behave in a test, by name.

    Attributes:
        held: Those that are not begun.
        durations: How long they take, in the test's time.
        lost: Of how many runs the result is lost, as by a crash just before it is recorded.
    """

    held: set[str] = field(default_factory=set[str])
    durations: dict[str, timedelta] = field(default_factory=dict[str, timedelta])
    lost: dict[str, int] = field(default_factory=dict[str, int])


class Workers:
    """Runs what is to be run.

    Args:
        hub: The state.
        functions: The functions of the app.
        committed: Called after each step that has been recorded.
    """

    def __init__(
        self, hub: TaskHub, functions: AppFunctions, committed: Callable[[], None]
    ) -> None:
        self.functions = functions
        self.conduct = Conduct()
        self.models: list[Verified] = []
        self._hub = hub
        self._committed = committed
        self._running: dict[WorkKey, asyncio.Task[None]] = {}
        self._begun: set[WorkKey] = set()
        self._answering: set[asyncio.Task[Answer]] = set()
        self._late: list[_Ended] = []
        self._epoch = 0

    @property
    def names(self) -> list[str]:
        """The functions that run, for messages."""
        running = [one for key, one in self._hub.activities.items() if key in self._running]
        return [*(work.name for work in running), *(one.get_name() for one in self._answering)]

    @property
    def is_busy(self) -> bool:
        """Whether something runs that does not wait for an instance by a durable client."""
        watched = Counter(instance_id for instance_id, _, _ in self._running)
        polls = Counter(
            poll.instance_id
            for poll in self._hub.polls
            if poll.waits(self._hub.now) and not poll.is_the_tests
        )
        # An activity does not wait for the end of its own orchestration: it watches for it, beside
        # what it does.
        waiting = (polls - watched).total()
        return len(self._running) + len(self._answering) > waiting

    @property
    def has_work(self) -> bool:
        """Whether there is something to run."""
        return bool(self._new_activities() or self._ready() or self._entities_with_work())

    def forget_all(self) -> None:
        """Drop everything that runs, as a kill does: all of it will run again."""
        self._epoch += 1
        for task in (*self._running.values(), *self._answering):
            task.cancel()
        self._running.clear()
        self._begun.clear()
        self._late.clear()

    def next_due(self) -> datetime | None:
        """Return when an activity that takes its time will have ended."""
        wanted = [one for one in self._late if one.work.key in self._hub.activities]
        return min((one.due for one in wanted), default=None)

    def deliver_due(self) -> None:
        """Record the results of activities that have now taken their time."""
        due = [one for one in self._late if one.due <= self._hub.now]
        self._late = [one for one in self._late if one.due > self._hub.now]
        for ended in due:
            self._record(ended)

    def answer(self, function: AppFunction, request: func.HttpRequest) -> asyncio.Task[Answer]:
        """Have a request answered; what the function raises becomes an answer, as on Azure."""
        answering = asyncio.create_task(self._answer(function, request), name=function.name)
        self._answering.add(answering)
        answering.add_done_callback(self._answered)
        return answering

    async def _answer(self, function: AppFunction, request: func.HttpRequest) -> Answer:
        try:
            return answer_of(await self.functions.call(function, request))
        except Exception as error:
            return Answer(500, {}, b"", error)

    def _answered(self, answering: asyncio.Task[Answer]) -> None:
        self._answering.discard(answering)
        self._hub.notify()

    async def step(self) -> None:
        """Begin activities, let those that run come to their ends, then run a turn of each."""
        self._hub.round += 1
        for work in self._new_activities():
            self._begin(work)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TOGETHER_SECONDS):
                while self.is_busy and not self._new_activities():
                    await self._hub.change()
                    self._raise_what_no_activity_may_raise()
        for instance in self._ready():
            await self._turn(instance)
        self._settle_locks()
        for entity in self._entities_with_work():
            await self._operate(entity)

    def _new_activities(self) -> list[ActivityWork]:
        held = {name.casefold() for name in self.conduct.held}
        return [
            work
            for key, work in self._hub.activities.items()
            if key not in self._begun and work.name.casefold() not in held
        ]

    def _ready(self) -> list[Instance]:
        return self._hub.matching(lambda one: not one.has_ended and bool(one.next_turn()))

    def _entities_with_work(self) -> list[Entity]:
        return [entity for entity in self._hub.entities.values() if entity.has_work]

    def _settle_locks(self) -> None:
        for entity in self._entities_with_work():
            for answer in entity.settle_locks(self._hub.sections.__contains__, self._hub.now):
                self._hub.tell(answer)

    async def _turn(self, instance: Instance) -> None:
        taken = instance.next_turn()
        if instance.has_ended or not taken:
            return
        epoch, execution = self._epoch, instance.execution
        news = [events.turn_started(self._hub.now), *(received.event for received in taken)]
        request = pb.OrchestratorRequest(
            instanceId=instance.id,
            executionId=events.text(execution.id),
            pastEvents=execution.past,
            newEvents=news,
        )
        response = await self.functions.turn(instance.name, request)
        is_current = not instance.has_ended and instance.execution is execution
        if is_current and epoch == self._epoch:
            apply_turn(self._hub, instance, taken, news, response)
            self._committed()

    async def _operate(self, entity: Entity) -> None:
        epoch, batch = self._epoch, entity.batch()
        if not batch:
            return
        request = pb.EntityRequest(
            instanceId=entity.id, entityState=events.text(entity.state), operationRequests=batch
        )
        result = await self.functions.operations(request)
        is_current = any(event is batch[0] for event in entity.queue)
        if is_current and epoch == self._epoch:
            apply_operations(self._hub, entity, batch, result)
            self._committed()

    def _begin(self, work: ActivityWork) -> None:
        self._begun.add(work.key)
        work.runs += 1
        task = asyncio.create_task(self._run(work), name=f"activity {work.name}")
        task.add_done_callback(lambda _: self._hub.notify())
        self._running[work.key] = task

    def _raise_what_no_activity_may_raise(self) -> None:
        """Let the end of a test, as `pytest.fail` in an activity, be the end of the test."""
        for key, task in list(self._running.items()):
            if task.done():
                del self._running[key]
                task.result()

    async def _run(self, work: ActivityWork) -> None:
        epoch = self._epoch
        current_asker.set(Asker(work.name, self.models))
        duration = self.conduct.durations.get(work.name, timedelta())
        ended = _Ended(work, self._hub.now + duration)
        try:
            ended.output = await self.functions.activity(work.name, work.given)
        except ActivityError as error:
            ended.failure = error.details
        if epoch != self._epoch:
            return
        del self._running[work.key]
        if self.conduct.lost.get(work.name, 0) > 0:
            self.conduct.lost[work.name] -= 1
            self._begun.discard(work.key)
        elif ended.due > self._hub.now:
            self._late.append(ended)
        else:
            self._record(ended)
        self._hub.notify()

    def _record(self, ended: "_Ended") -> None:
        work, hub = ended.work, self._hub
        instance_id, execution_id, task_id = work.key
        self._begun.discard(work.key)
        if hub.activities.pop(work.key, None) is None:
            return  # nobody waits for it any more
        work.output, work.failure, work.is_done = ended.output, ended.failure, True
        if ended.failure is not None:
            event = events.task_failed(hub.now, task_id, ended.failure)
        else:
            event = events.task_completed(hub.now, task_id, ended.output)
        hub.send(instance_id, event, execution=execution_id)
        self._committed()


@dataclass
class _Ended:
    work: ActivityWork
    due: datetime
    output: str | None = None
    failure: pb.TaskFailureDetails | None = None
