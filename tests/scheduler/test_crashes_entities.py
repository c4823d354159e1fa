"""SIGKILL while entities are locked and called: locks stay exclusive, operations count once."""

from collections import Counter
from itertools import groupby

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from .conftest import Actions, text
from .killing import Flow, Victim, Worker, answers, edges

pytestmark = pytest.mark.crash

A, B = "@account@a", "@account@b"
RELAY = "@relay@r"
OWNERS = ["wf0", "wf1", "wf2"]


def called(number: int, request_id: str, entity_id: str) -> pb.OrchestratorAction:
    call = pb.EntityOperationCalledEvent(
        requestId=request_id, operation="add", targetInstanceId=text(entity_id)
    )
    return Actions.entity(number, entityOperationCalled=call)


def locking(*, leaves: bool) -> Flow:
    """A flow that locks both accounts, calls each twice, and leaves the section or just ends."""

    def flow(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
        section = f"section of {instance_id}"
        lock = pb.EntityLockRequestedEvent(criticalSectionId=section, lockSet=[A, B])
        actions = [Actions.entity(1, entityLockRequested=lock)]
        if not answers(events, "entityLockGranted"):
            return actions
        done = len(answers(events, "entityOperationCompleted"))
        if done < 4:
            actions.append(called(2 + done, f"{instance_id} {done}", (A, B)[done % 2]))
            return actions
        for number, entity_id in enumerate((A, B) if leaves else ()):
            unlock = pb.EntityUnlockSentEvent(
                criticalSectionId=section, targetInstanceId=text(entity_id)
            )
            actions.append(Actions.entity(10 + number, entityUnlockSent=unlock))
        return [*actions, Actions.complete()]

    return flow


FLOWS = {"leaves": locking(leaves=True), "ends": locking(leaves=False)}
LOCK_FAULTS = [
    *edges("lock.half", "lock.half:2", "lock.half:3"),
    *["lock.half,lock.half,commit.before", "turn.half:4", "turn.half:7", "batch.half:3"],
]


async def check_locks(victim: Victim, name: str, fault: str) -> None:
    starts = [victim.start(owner, name) for owner in OWNERS]
    async with (
        Worker(victim.client, FLOWS).working(),
        victim.killed_at(fault, *starts),
    ):
        for owner in OWNERS:
            await victim.finished(owner)
        for entity_id, numbers in ((A, (0, 2)), (B, (1, 3))):
            done = await victim.applied(entity_id, lambda done: len(done) >= 6)
            owners = [owner for owner, _ in groupby(done, lambda request: request.split()[0])]
            assert sorted(owners) == OWNERS, "a section of one between the calls of another"
            assert Counter(done) == {f"{owner} {n}": 1 for owner in OWNERS for n in numbers}
            await victim.signal(entity_id, "after")  # a lock that is left would hold it back
            await victim.applied(entity_id, lambda done: "after" in done)
            found = await victim.once("GetEntity", pb.GetEntityRequest(instanceId=entity_id))
            assert not found.entity.HasField("lockedBy")


@pytest.mark.parametrize("fault", LOCK_FAULTS)
async def test_locks_are_exclusive_and_given_back(victim: Victim, fault: str) -> None:
    await check_locks(victim, "leaves", fault)


@pytest.mark.parametrize("fault", edges("end.half", "end.half:2"))
async def test_the_locks_of_an_owner_that_ends_are_given_back(victim: Victim, fault: str) -> None:
    await check_locks(victim, "ends", fault)


def caller(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    """Calls the relay twice at once, and ends with how often each call was answered."""
    got = [done.requestId for done in answers(events, "entityOperationCompleted")]
    calls = [called(number, f"{instance_id}-{number}", RELAY) for number in (1, 2)]
    return [*calls, *([Actions.complete()] if len(got) >= 2 else [])]


@pytest.mark.parametrize("fault", edges("batch.half", "batch.half:2"))
async def test_each_operation_is_applied_answered_and_passed_on_once(
    victim: Victim, fault: str
) -> None:
    callers = ["c0", "c1", "c2", "c3"]
    calls = [f"{name}-{number}" for name in callers for number in (1, 2)]
    starts = [victim.start(name, "caller") for name in callers]
    async with (
        Worker(victim.client, {"caller": caller}).working(),
        victim.killed_at(fault, *starts),
    ):
        for name in callers:
            await victim.finished(name)
            history = await victim.history(name)
            answered = [done.requestId for done in answers(history, "entityOperationCompleted")]
            assert sorted(answered) == [f"{name}-1", f"{name}-2"]
        await victim.signal(RELAY, "last")
        for entity_id in (RELAY, "@log@k"):
            done = await victim.applied(entity_id, lambda done: "last" in done)
            assert sorted(done) == [*calls, "last"]
