"""Entities and their locks against a plain model: exclusive, in order, nothing lost or twice."""

import json
from itertools import combinations

from durabletask.internal import orchestrator_service_pb2 as pb
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from local_runtime.scheduler.engine.decision import Start
from local_runtime.scheduler.engine.status import TERMINAL
from local_runtime.scheduler.storage import controls, entities, instances, turns
from local_runtime.scheduler.storage.purge import purge

from .conftest import Actions, text
from .driven import Crash, Driven, crashes, rarely

OWNERS = ["o1", "o2", "o3"]
ENTITIES = ["@e@a", "@e@b"]
LOCK_SETS = [list(found) for size in (1, 2) for found in combinations(ENTITIES, size)]
DO = ["lock", "lock", "leave", "leave", "call", "call", "signal", "later", "end", "anew", "rest"]

owners = st.sampled_from(OWNERS)
entity_ids = st.sampled_from(ENTITIES)


class EntityMachine(RuleBasedStateMachine):
    """Orchestrations lock, call and signal entities; workers and the process come and go."""

    @initialize()
    def begin(self) -> None:
        self.hub = Driven()
        self.hub.forget = self.lose_the_batches
        self.batches: dict[str, entities.Batch] = {}
        self.sections: dict[str, tuple[str, list[str]]] = {}  # by owner: what it asked for
        self.sent: dict[str, list[str]] = {entity_id: [] for entity_id in ENTITIES}
        self.callers: dict[str, tuple[str, str]] = {}  # owner and generation, by request
        self.forgotten: set[str] = set()  # operations answered before their entity was purged

    def teardown(self) -> None:
        try:
            self.everything_comes_to_rest()
        finally:
            self.hub.close()

    # -- owners ------------------------------------------------------------------------------

    def start(self, owner: str) -> None:
        new = Start(owner, pb.ExecutionStartedEvent(name="flow"))
        self.hub.commit(lambda tx: instances.start(tx, new, TERMINAL))
        self.sections.pop(owner, None)

    @rule(owner=owners)
    def take_turn(self, owner: str) -> None:
        self.hub.take_turn(owner)

    @rule(
        owner=owners,
        what=st.lists(st.sampled_from(DO), min_size=1, max_size=3),
        lock_set=st.sampled_from(LOCK_SETS),
        entity_id=entity_ids,
        crash=crashes,
    )
    def answer_turn(
        self, owner: str, what: list[str], lock_set: list[str], entity_id: str, crash: Crash
    ) -> None:
        # Something to answer: an orchestrator acts when it is told something.
        if not self.hub.live(owner):
            self.start(owner)
        self.hub.commit(lambda tx: controls.raise_event(tx, owner, "go", None))
        turn = self.hub.take_turn(owner)
        if turn is None:
            return
        section = self.sections.get(owner)
        sent: list[tuple[str, str]] = []
        actions: list[pb.OrchestratorAction] = []
        for step in what:
            if step == "lock" and section is None:
                section = (f"section{next(self.hub.numbers)}", lock_set)
                actions.append(self.lock(*section))
            elif step == "leave" and section is not None and self.is_inside(owner):
                actions += [self.unlock(section[0], locked) for locked in section[1]]
                section = None
            elif step in ("call", "signal", "later"):
                request_id = f"{step}{next(self.hub.numbers):06d}"
                sent.append((entity_id, request_id))
                actions.append(self.operation(step, request_id, entity_id))
        end = Actions.complete() if "end" in what else Actions.anew("1")
        is_over = "end" in what or "anew" in what
        if is_over:
            actions.append(end)
            section = None
        if self.hub.answer_turn(turn, actions, crash):
            self.note(owner, turn, section, sent)

    @rule(owner=owners, other=owners, lock_set=st.sampled_from(LOCK_SETS))
    def enter_before_another(self, owner: str, other: str, lock_set: list[str]) -> None:
        for asking in (owner, other):
            self.answer_turn(asking, ["lock"], lock_set, ENTITIES[0], "")
            for entity_id in ENTITIES:
                self.run_a_batch(entity_id)

    @rule(owner=owners, what=st.sampled_from([["leave", "end"], ["leave", "anew"], ["anew"]]))
    def move_on(self, owner: str, what: list[str]) -> None:
        if self.is_inside(owner):
            self.answer_turn(owner, what, [], ENTITIES[0], "")

    def note(
        self,
        owner: str,
        turn: turns.Turn,
        section: tuple[str, list[str]] | None,
        sent: list[tuple[str, str]],
    ) -> None:
        self.sections.pop(owner, None)
        if section is not None:
            self.sections[owner] = section
        for entity_id, request_id in sent:
            self.sent[entity_id].append(request_id)
            self.callers[request_id] = (owner, turn.execution_id)

    def lock(self, section: str, lock_set: list[str]) -> pb.OrchestratorAction:
        asked = pb.EntityLockRequestedEvent(criticalSectionId=section, lockSet=lock_set)
        return Actions.entity(next(self.hub.numbers), entityLockRequested=asked)

    def unlock(self, section: str, entity_id: str) -> pb.OrchestratorAction:
        left = pb.EntityUnlockSentEvent(criticalSectionId=section, targetInstanceId=text(entity_id))
        return Actions.entity(next(self.hub.numbers), entityUnlockSent=left)

    def operation(self, kind: str, request_id: str, entity_id: str) -> pb.OrchestratorAction:
        fields = {"requestId": request_id, "targetInstanceId": text(entity_id)}
        number = next(self.hub.numbers)
        if kind == "call":
            called = pb.EntityOperationCalledEvent(**fields)
            return Actions.entity(number, entityOperationCalled=called)
        signal = pb.EntityOperationSignaledEvent(**fields)
        if kind == "later":
            signal.scheduledTime.seconds = self.hub.now // 1_000_000 + 20
        return Actions.entity(number, entityOperationSignaled=signal)

    @rule(owner=owners, really=rarely, crash=crashes)
    def terminate(self, owner: str, really: bool, crash: Crash) -> None:
        if really:
            self.hub.commit(lambda tx: controls.terminate(tx, owner, None, recurse=False), crash)

    @rule(owner=owners, crash=crashes)
    def purge(self, owner: str, crash: Crash) -> None:
        self.hub.commit(lambda tx: purge(tx, owner, recursive=False), crash)

    @rule(entity_id=entity_ids, really=rarely, crash=crashes)
    def purge_an_entity(self, entity_id: str, really: bool, crash: Crash) -> None:
        if not really:
            return
        self.hub.commit(lambda tx: purge(tx, entity_id, recursive=False), crash)
        if crash != "before":
            self.batches.pop(entity_id, None)  # as the dispatcher revokes what is leased
            self.forgotten |= set(self.sent[entity_id])
            self.sent[entity_id] = []

    @rule(owner=owners, entity_id=entity_ids, crash=crashes)
    def purge_an_entity_that_is_waited_for(self, owner: str, entity_id: str, crash: Crash) -> None:
        self.answer_turn(owner, ["call"], [], entity_id, "")
        self.purge_an_entity(entity_id, True, crash)

    # -- entities ----------------------------------------------------------------------------

    @rule(entity_id=entity_ids, crash=crashes)
    def take_batch(self, entity_id: str, crash: Crash) -> None:
        if entity_id in self.batches:
            return
        batch = self.hub.commit(lambda tx: entities.load(tx, entity_id), crash)
        if batch is not None and crash != "after":
            self.batches[entity_id] = batch

    @rule(entity_id=entity_ids, reached=st.integers(1, 4), crash=crashes)
    def answer_batch(self, entity_id: str, reached: int, crash: Crash) -> None:
        batch = self.batches.pop(entity_id, None)
        if batch is None:
            return
        names = [
            queued.event.entityOperationCalled.requestId
            or queued.event.entityOperationSignaled.requestId
            for queued in batch.operations[:reached]
        ]
        inside = [owner for owner in self.inside() if entity_id in self.sections[owner][1]]
        if inside:
            assert {self.callers[name][0] for name in names} == set(inside)
            assert all(name.startswith("call") for name in names)
        result = pb.EntityBatchResult(
            results=[pb.OperationResult(success=pb.OperationResultSuccess()) for _ in names],
            entityState=text(json.dumps(self.applied(entity_id) + names)),
        )
        self.hub.commit(lambda tx: entities.commit(tx, batch, result), crash)

    @rule(entity_id=entity_ids)
    def run_a_batch(self, entity_id: str) -> None:
        self.take_batch(entity_id, "")
        self.answer_batch(entity_id, 4, "")

    @rule(owner=owners, entity_id=entity_ids)
    def give_back(self, owner: str, entity_id: str) -> None:
        self.hub.turns.pop(owner, None)
        self.batches.pop(entity_id, None)

    @rule()
    def lose_the_batches(self) -> None:
        self.batches.clear()

    @rule()
    def crash_and_restart(self) -> None:
        self.hub.restart()

    @rule(seconds=st.integers(1, 30))
    def time_passes(self, seconds: int) -> None:
        self.hub.deliver_due(seconds)

    # -- the model ---------------------------------------------------------------------------

    def applied(self, entity_id: str) -> list[str]:
        return json.loads(entities.find(self.hub.connection, entity_id).state or "[]")

    def is_inside(self, owner: str) -> bool:
        """Whether an owner has been told that it holds its section."""
        section = self.sections.get(owner)
        if section is None or not self.hub.live(owner):
            return False
        return any(
            event.entityLockGranted.criticalSectionId == section[0]
            for event in self.hub.known(owner)
        )

    def inside(self) -> list[str]:
        return [owner for owner in OWNERS if self.is_inside(owner)]

    # -- laws --------------------------------------------------------------------------------

    @invariant()
    def sections_are_exclusive_and_whole(self) -> None:
        held = [(owner, entity_id) for owner in self.inside() for entity_id in self.held(owner)]
        for owner, entity_id in held:
            lock = entities.find(self.hub.connection, entity_id).lock
            assert lock is not None, f"{owner} was told that it holds {entity_id}"
            assert (lock.holder_id, lock.critical_section_id) == (owner, self.sections[owner][0])
        assert len({entity_id for _, entity_id in held}) == len(held)

    def held(self, owner: str) -> list[str]:
        return self.sections[owner][1]

    @invariant()
    def each_operation_is_applied_or_waits_once_and_signals_in_order(self) -> None:
        for entity_id in ENTITIES:
            applied = self.applied(entity_id)
            waiting = [
                event.entityOperationCalled.requestId or event.entityOperationSignaled.requestId
                for event in self.hub.queued(entity_id) + self.hub.delayed(entity_id)
                if not event.HasField("entityLockRequested")
                and not event.HasField("entityUnlockSent")
            ]
            assert sorted(applied + waiting) == sorted(self.sent[entity_id])
            signals = [name for name in applied if name.startswith("signal")]
            assert signals == sorted(signals)

    @invariant()
    def each_applied_call_is_answered_once(self) -> None:
        done = {name for entity_id in ENTITIES for name in self.applied(entity_id)}
        done |= self.forgotten
        for owner in OWNERS:
            found = self.hub.live(owner)
            if found is None:
                continue
            answered = [
                event.entityOperationCompleted.requestId or event.entityOperationFailed.requestId
                for event in self.hub.known(owner)
                if event.HasField("entityOperationCompleted")
                or event.HasField("entityOperationFailed")
            ]
            generation = (owner, found.execution_id)
            calls = {n for n, by in self.callers.items() if by == generation and "call" in n}
            assert sorted(answered) == sorted(calls & done)

    @invariant()
    def nothing_is_there_that_cannot_be(self) -> None:
        self.hub.check()

    def everything_comes_to_rest(self) -> None:
        """Whoever asked for a lock gets it; at the end nobody holds one, and nothing waits."""
        self.hub.deliver_due(30)
        self.batches.clear()
        for _ in range(12):
            for entity_id in ENTITIES:
                for _ in range(3):
                    self.take_batch(entity_id, "")
                    self.answer_batch(entity_id, 200, "")
            for owner in self.inside():
                self.answer_turn(owner, ["leave"], [], ENTITIES[0], "")
        assert not [owner for owner in self.sections if self.hub.live(owner)]
        left = "SELECT entity_id FROM entities WHERE holder_id IS NOT NULL"
        assert self.hub.connection.execute(left).fetchall() == []
        assert [self.hub.queued(entity_id) for entity_id in ENTITIES] == [[], []]


EntityMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestEntities = EntityMachine.TestCase
