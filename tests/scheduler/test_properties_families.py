"""Parents and children against a plain law: each end is told once, whatever is done to them."""

import contextlib
from collections import Counter

from durabletask.internal import orchestrator_service_pb2 as pb
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from local_runtime.scheduler.engine.decision import InvalidResponse, Start
from local_runtime.scheduler.engine.status import TERMINAL, Status
from local_runtime.scheduler.storage import controls, instances, rewind, turns
from local_runtime.scheduler.storage.instances import InstanceExists
from local_runtime.scheduler.storage.purge import purge
from local_runtime.scheduler.storage.restart import restart

from .conftest import Actions
from .driven import Crash, Driven, crashes, rarely
from .killing import answers, rewound

ROOT = "root"
IDS = [ROOT, "c1", "c2", "g1"]
ids = st.sampled_from(IDS)
FAILURE = pb.TaskFailureDetails(errorType="E", errorMessage="m")


class FamilyMachine(RuleBasedStateMachine):
    """Instances start others and end in each way there is; people intervene; processes die."""

    @initialize()
    def begin(self) -> None:
        self.hub = Driven()
        self.late: list[turns.Turn] = []  # answered once, or taken from their worker
        self.raised: dict[tuple[str, int], list[str]] = {}  # events that each run has to know

    def teardown(self) -> None:
        self.hub.close()

    # -- clients -----------------------------------------------------------------------------

    @rule(instance_id=ids, crash=crashes)
    def start(self, instance_id: str, crash: Crash) -> None:
        new = Start(instance_id, pb.ExecutionStartedEvent(name="flow"))
        with contextlib.suppress(InstanceExists):
            self.hub.commit(lambda tx: instances.start(tx, new, TERMINAL), crash)

    @rule(instance_id=ids, recurse=st.booleans(), really=rarely, crash=crashes)
    def terminate(self, instance_id: str, recurse: bool, really: bool, crash: Crash) -> None:
        if really:
            self.hub.commit(
                lambda tx: controls.terminate(tx, instance_id, None, recurse=recurse), crash
            )

    @rule(instance_id=ids, recursive=st.booleans(), really=rarely, crash=crashes)
    def purge(self, instance_id: str, recursive: bool, really: bool, crash: Crash) -> None:
        if really:
            self.hub.commit(lambda tx: purge(tx, instance_id, recursive=recursive), crash)

    @rule(instance_id=ids, really=rarely, crash=crashes)
    def restart(self, instance_id: str, really: bool, crash: Crash) -> None:
        found = self.hub.find(instance_id)
        if really and found is not None and found.status.is_terminal:
            self.hub.commit(lambda tx: restart(tx, instance_id, None), crash)

    @rule(instance_id=ids, pause=st.booleans(), crash=crashes)
    def pause_or_resume(self, instance_id: str, pause: bool, crash: Crash) -> None:
        if self.hub.live(instance_id):
            act = controls.suspend if pause else controls.resume
            self.hub.commit(lambda tx: act(tx, instance_id, None), crash)

    @rule(instance_id=st.sampled_from([ROOT, *IDS]), crash=crashes)
    def rewind(self, instance_id: str, crash: Crash) -> None:
        found = self.hub.find(instance_id)
        if found is not None and found.status is Status.FAILED:
            self.hub.commit(lambda tx: rewind.begin(tx, instance_id, "again"), crash)

    # -- workers -----------------------------------------------------------------------------

    @rule(
        instance_id=ids,
        children=st.lists(ids, max_size=2, unique=True),
        how=st.sampled_from(["go on", "go on", "go on", "complete", "fail", "fail", "anew"]),
        crash=crashes,
    )
    def answer_turn(self, instance_id: str, children: list[str], how: str, crash: Crash) -> None:
        # Something to answer: an orchestrator acts when it is told something.
        self.raise_event(instance_id, "")
        turn = self.hub.take_turn(instance_id)
        if turn is None:
            return
        actions = self.actions(turn, children, how)
        self.late.append(turn)
        read = names(self.hub.recorded(instance_id)) + names(parsed(turn.delivered))
        answered = self.hub.answer_turn(turn, actions, crash)
        assert answered is not False
        if how == "anew" and actions[-1].HasField("completeOrchestration") and crash != "before":
            expected = self.raised.get(self.hub.run(instance_id), [])
            expected[:] = [name for name in expected if name not in read]

    @rule(instance_id=ids, crash=crashes)
    def raise_event(self, instance_id: str, crash: Crash) -> None:
        if self.hub.live(instance_id):
            name = f"go{next(self.hub.numbers)}"
            self.hub.commit(lambda tx: controls.raise_event(tx, instance_id, name, None), crash)
            if crash != "before":
                self.raised.setdefault(self.hub.run(instance_id), []).append(name)

    def actions(
        self, turn: turns.Turn, children: list[str], how: str
    ) -> list[pb.OrchestratorAction]:
        delivered = parsed(turn.delivered)
        if any(event.HasField("executionRewound") for event in delivered):
            assert len(delivered) == 2, "a rewind comes alone"
            return [rewound([*self.hub.recorded(turn.instance_id), *delivered])]
        actions = [
            Actions.child(next(self.hub.numbers), child_id=child_id) for child_id in children
        ]
        match how:
            case "complete":
                actions.append(Actions.complete())
            case "fail":
                actions.append(Actions.fail(FAILURE))
            case "anew":
                actions.append(Actions.anew("1"))
            case _:
                pass
        return actions

    @rule(children=st.lists(st.sampled_from(IDS[1:]), max_size=2, unique=True))
    def the_root_fails_with_children(self, children: list[str]) -> None:
        """A root with children of which the first fails, and it with them: to be rewound."""
        self.start(ROOT, "")
        self.answer_turn(ROOT, children, "go on", "")
        for child_id in children[:1]:
            self.answer_turn(child_id, [], "fail", "")
        self.answer_turn(ROOT, [], "fail", "")
        self.an_event_is_told_once()
        self.rewind(ROOT, "")
        self.answer_turn(ROOT, [], "go on", "")

    @rule(index=st.integers(0, 30), how=st.sampled_from(["complete", "fail", "anew"]))
    def answer_late(self, index: int, how: str) -> None:
        """A turn of a generation that is over changes nothing."""
        if not self.late:
            return
        turn = self.late[index % len(self.late)]
        current = self.hub.live(turn.instance_id)
        if current is None or current.execution_id != turn.execution_id:
            with contextlib.suppress(InvalidResponse):
                assert not self.hub.answer_turn(turn, self.actions(turn, [], how))

    @rule(instance_id=ids)
    def take_turn(self, instance_id: str) -> None:
        turn = self.hub.take_turn(instance_id)
        if turn is not None:
            self.late.append(turn)

    @rule(instance_id=ids)
    def give_back(self, instance_id: str) -> None:
        self.hub.turns.pop(instance_id, None)

    @rule()
    def crash_and_restart(self) -> None:
        self.hub.restart()

    # -- laws --------------------------------------------------------------------------------

    @invariant()
    def nothing_is_there_that_cannot_be(self) -> None:
        self.hub.check()

    @invariant()
    def an_event_is_told_once(self) -> None:
        for instance_id in IDS:
            if self.hub.find(instance_id) is None:
                continue
            run = self.hub.run(instance_id)
            if self.hub.live(instance_id):
                known = sorted(names(self.hub.known(instance_id)))
                assert known == sorted(self.raised.get(run, [])), instance_id
            else:  # what it had not read when it ended is dropped
                self.raised[run] = names(self.hub.recorded(instance_id))

    @invariant()
    def a_parent_is_told_once_of_each_end(self) -> None:
        for instance_id in IDS:
            parent = self.hub.live(instance_id)
            if parent is None:
                continue
            events = self.hub.known(instance_id)
            if any(event.HasField("executionRewound") for event in self.hub.queued(instance_id)):
                continue  # its history is still to be cleaned
            told = Counter(
                event.subOrchestrationInstanceCompleted.taskScheduledId
                or event.subOrchestrationInstanceFailed.taskScheduledId
                for event in events
                if event.HasField("subOrchestrationInstanceCompleted")
                or event.HasField("subOrchestrationInstanceFailed")
            )
            for event in events:
                if event.HasField("subOrchestrationInstanceCreated"):
                    child_id = event.subOrchestrationInstanceCreated.instanceId
                    expected = 0 if self.is_awaited(parent, event.eventId, child_id) else 1
                    assert told.pop(event.eventId, 0) == expected, (instance_id, child_id)
            assert not told, f"{instance_id} was told of what it did not start: {told}"

    def is_awaited(self, parent: instances.Instance, task_id: int, child_id: str) -> bool:
        """Whether a child that has not ended knows that this generation waits for it."""
        child = self.hub.live(child_id)
        if child is None or not child.started.HasField("parentInstance"):
            return False
        link = child.started.parentInstance
        return (
            link.orchestrationInstance.instanceId == parent.instance_id
            and link.orchestrationInstance.executionId.value == parent.execution_id
            and link.taskScheduledId == task_id
        )


def parsed(events: list[bytes]) -> list[pb.HistoryEvent]:
    return [pb.HistoryEvent.FromString(event) for event in events]


def names(events: list[pb.HistoryEvent]) -> list[str]:
    return [raised.name for raised in answers(events, "eventRaised")]


FamilyMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestFamilies = FamilyMachine.TestCase
