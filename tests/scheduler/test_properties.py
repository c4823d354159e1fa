"""The engine and its storage against a plain model: nothing lost, nothing applied twice."""

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from durabletask.internal import orchestrator_service_pb2 as pb
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from local_runtime.scheduler.engine.decision import Start
from local_runtime.scheduler.engine.status import TERMINAL
from local_runtime.scheduler.storage import (
    activities,
    controls,
    entities,
    history,
    instances,
    messages,
    turns,
)
from local_runtime.scheduler.storage.effects import ReadyTask
from local_runtime.scheduler.storage.instances import InstanceExists
from local_runtime.scheduler.storage.transaction import Transaction

from .audit import rows_that_cannot_be
from .conftest import Actions
from .driven import open_quickly

IDS = ["a", "b"]
ENTITY = "@counter@k"
instance_ids = st.sampled_from(IDS)


crashes = st.sampled_from([False, False, False, True])
rarely = st.sampled_from([False, False, False, False, True])


class Crash(Exception):
    """The process dies before the commit."""


class SchedulerMachine(RuleBasedStateMachine):
    """Drives transactions as clients, workers and crashes would."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "hub.db"
        self.keys = itertools.count(1)
        self.numbers = itertools.count(1)
        self.now = 1_000_000
        self.connection = open_quickly(self.path)
        self.turns: dict[str, turns.Turn] = {}
        self.batch: entities.Batch | None = None
        self.waiting: list[ReadyTask] = []  # activities a worker holds
        self.finished: list[ReadyTask] = []  # those whose result was given once
        self.raised: dict[str, list[str]] = {}  # events an instance was told, until it ended
        self.signalled = 0
        self.processed = 0

    def teardown(self) -> None:
        self.connection.close()
        self.folder.cleanup()

    def commit[T](self, step: Callable[[Transaction], T], *, crash: bool = False) -> T | None:
        self.now += 1
        tx = Transaction(
            self.connection, self.now, lambda: f"id{next(self.numbers)}", self.keys.__next__
        )
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            result = step(tx)
            if crash:
                raise Crash
        except BaseException as error:
            self.connection.execute("ROLLBACK")
            if isinstance(error, Crash):
                self.restart()
                return None
            raise
        self.connection.execute("COMMIT")
        self.waiting += [
            task for task in tx.effects.tasks if task.instance_id not in tx.effects.cancelled
        ]
        for ended in tx.effects.cancelled:
            self.raised.pop(ended, None)
        return result

    def restart(self) -> None:
        """What a new process finds: the file, and nothing else."""
        self.connection.close()
        self.connection = open_quickly(self.path)
        self.turns.clear()
        self.batch = None
        self.waiting = list(activities.all_ready(self.connection))

    def is_live(self, instance_id: str) -> bool:
        found = instances.find(self.connection, instance_id)
        return found is not None and not found.status.is_terminal

    def names_read(self, instance_id: str) -> list[str]:
        return [
            event.eventRaised.name
            for turn in history.read_turns(self.connection, instance_id)
            for event in turn
            if event.HasField("eventRaised")
        ]

    # -- clients -----------------------------------------------------------------------------

    @rule(instance_id=instance_ids)
    def start(self, instance_id: str) -> None:
        new = Start(instance_id, pb.ExecutionStartedEvent(name="flow"))
        try:
            self.commit(lambda tx: instances.start(tx, new, TERMINAL))
        except InstanceExists:
            assert self.is_live(instance_id)
        else:
            self.raised[instance_id] = []

    @rule(instance_id=instance_ids, crash=crashes)
    def raise_event(self, instance_id: str, crash: bool) -> None:
        if not self.is_live(instance_id):
            return
        name = f"event{next(self.numbers)}"
        done = self.commit(
            lambda tx: controls.raise_event(tx, instance_id, name, None) or True, crash=crash
        )
        if done:
            self.raised[instance_id].append(name)

    @rule(instance_id=instance_ids, pause=st.booleans())
    def pause_or_resume(self, instance_id: str, pause: bool) -> None:
        if self.is_live(instance_id):
            act = controls.suspend if pause else controls.resume
            self.commit(lambda tx: act(tx, instance_id, None))

    @rule(instance_id=instance_ids, recurse=st.booleans(), really=rarely)
    def terminate(self, instance_id: str, recurse: bool, really: bool) -> None:
        if not really:
            return
        self.commit(lambda tx: controls.terminate(tx, instance_id, None, recurse=recurse))

    @rule()
    def signal(self) -> None:
        request = pb.SignalEntityRequest(instanceId=ENTITY, name="add")
        self.commit(lambda tx: entities.signal(tx, request))
        self.signalled += 1

    @rule(seconds=st.integers(1, 50))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1_000_000
        self.commit(lambda tx: messages.deliver_due(tx))

    # -- workers -----------------------------------------------------------------------------

    @rule(instance_id=instance_ids)
    def take_turn(self, instance_id: str) -> None:
        if instance_id in self.turns:
            return
        turn = turns.load(self.connection, self.now, instance_id)
        if turn is not None:
            assert self.is_live(instance_id)
            self.turns[instance_id] = turn

    @rule(
        instance_id=instance_ids,
        tasks=st.integers(0, 3),
        timer=st.booleans(),
        how=st.sampled_from(["go on", "go on", "complete", "anew", "carry", "child"]),
        crash=crashes,
    )
    def answer_turn(self, instance_id: str, tasks: int, timer: bool, how: str, crash: bool) -> None:
        turn = self.turns.pop(instance_id, None)
        if turn is None:
            return
        response = pb.OrchestratorResponse(instanceId=instance_id)
        new_tasks = [Actions.task(next(self.numbers)) for _ in range(tasks)]
        response.actions.extend(new_tasks)
        if timer:
            fire = pb.OrchestratorAction(id=next(self.numbers))
            fire.createTimer.fireAt.seconds = self.now // 1_000_000 + 10
            response.actions.append(fire)
        if how == "child":
            child_id = IDS[(IDS.index(instance_id) + 1) % len(IDS)]
            response.actions.append(Actions.child(next(self.numbers), child_id=child_id))
            free = not self.is_live(child_id)
        if how == "complete":
            response.actions.append(Actions.complete())
        given = [pb.HistoryEvent.FromString(event) for event in turn.delivered]
        told = [event for event in given if event.HasField("eventRaised")]
        read = set(self.names_read(instance_id))
        if how == "carry":
            response.actions.append(Actions.anew("1", *told))
        else:
            read |= {event.eventRaised.name for event in told}
        if how == "anew":
            response.actions.append(Actions.anew("1"))
        current = instances.find(self.connection, instance_id)
        fresh = (
            current is not None
            and not current.status.is_terminal
            and current.execution_id == turn.execution_id
        )
        applied = self.commit(lambda tx: turns.commit(tx, turn, response), crash=crash)
        if applied is None:
            return
        assert applied == fresh
        if applied and how == "child" and free:
            self.raised[child_id] = []
        if applied and how in ("anew", "carry"):
            # What the old generation has read is its own, unless it carries it on; the rest must
            # reach the new one.
            self.raised[instance_id] = [n for n in self.raised[instance_id] if n not in read]

    @rule(instance_id=instance_ids, tasks=st.integers(0, 3), timer=st.booleans())
    def run_a_turn(self, instance_id: str, tasks: int, timer: bool) -> None:
        self.start(instance_id)
        self.raise_event(instance_id, False)
        self.take_turn(instance_id)
        self.answer_turn(instance_id, tasks, timer, "go on", False)

    @rule(instance_id=instance_ids, how=st.sampled_from(["go on", "anew", "carry"]))
    def an_event_overtakes_a_turn(self, instance_id: str, how: str) -> None:
        self.take_turn(instance_id)
        self.raise_event(instance_id, False)
        self.answer_turn(instance_id, 0, False, how, False)

    @rule(index=st.integers(0, 50), failed=st.booleans(), crash=crashes)
    def finish_activity(self, index: int, failed: bool, crash: bool) -> None:
        if not self.waiting:
            return
        task = self.waiting.pop(index % len(self.waiting))
        response = pb.ActivityResponse()
        if failed:
            response.failureDetails.SetInParent()
        if self.commit(lambda tx: activities.complete(tx, task, response), crash=crash) is not None:
            self.finished.append(task)

    @precondition(lambda self: self.finished)
    @rule(index=st.integers(0, 50))
    def finish_activity_again(self, index: int) -> None:
        task = self.finished[index % len(self.finished)]
        assert not self.commit(lambda tx: activities.complete(tx, task, pb.ActivityResponse()))

    @rule()
    def take_batch(self) -> None:
        if self.batch is None:
            self.batch = self.commit(lambda tx: entities.load(tx, ENTITY))

    @rule(reached=st.integers(0, 5), crash=crashes)
    def answer_batch(self, reached: int, crash: bool) -> None:
        batch, self.batch = self.batch, None
        if batch is None:
            return
        outcomes = [pb.OperationResult(success=pb.OperationResultSuccess())] * min(
            reached, len(batch.operations)
        )
        result = pb.EntityBatchResult(results=outcomes)
        result.entityState.value = str(self.processed + len(outcomes))
        if self.commit(lambda tx: entities.commit(tx, batch, result), crash=crash):
            self.processed += len(outcomes)

    @rule()
    def lose_the_workers(self) -> None:
        self.turns.clear()
        self.batch = None

    @rule()
    def crash_and_restart(self) -> None:
        self.restart()

    # -- laws --------------------------------------------------------------------------------

    @invariant()
    def every_event_is_in_the_history_or_in_the_inbox_once(self) -> None:
        for instance_id, names in self.raised.items():
            read = self.names_read(instance_id)
            unread = [
                queued.event.eventRaised.name
                for queued in messages.queued_events(self.connection, instance_id)
                if queued.event.HasField("eventRaised")
            ]
            assert read + unread == names

    @invariant()
    def no_result_is_recorded_twice(self) -> None:
        for instance_id in IDS:
            answered = Counter(
                event.taskCompleted.taskScheduledId or event.taskFailed.taskScheduledId
                for turn in history.read_turns(self.connection, instance_id)
                for event in turn
                if event.HasField("taskCompleted") or event.HasField("taskFailed")
            )
            assert all(count == 1 for count in answered.values())

    @invariant()
    def each_timer_waits_or_has_fired_once(self) -> None:
        for instance_id in filter(self.is_live, IDS):
            past = [e for t in history.read_turns(self.connection, instance_id) for e in t]
            inbox = messages.queued_events(self.connection, instance_id)
            rows = self.connection.execute(
                "SELECT event FROM delayed WHERE target_id = ?", (instance_id,)
            ).fetchall()
            waiting = [pb.HistoryEvent.FromString(event) for (event,) in rows]
            known = [*past, *(queued.event for queued in inbox), *waiting]
            fired = [e.timerFired.timerId for e in known if e.HasField("timerFired")]
            assert sorted(fired) == sorted(e.eventId for e in past if e.HasField("timerCreated"))

    @invariant()
    def history_is_dense_and_finished_means_nothing_is_left(self) -> None:
        assert rows_that_cannot_be(self.connection) == []

    @invariant()
    def every_signal_is_processed_once_or_still_queued(self) -> None:
        queued = messages.queued_events(self.connection, ENTITY)
        assert len(queued) + self.processed == self.signalled


SchedulerMachine.TestCase.settings = settings(
    max_examples=120, stateful_step_count=60, deadline=None
)
TestScheduler = SchedulerMachine.TestCase
