"""An entity that is purged: its state is gone, whoever waits for it is told, and locks hold."""

from durabletask.internal import orchestrator_service_pb2 as pb

from .conftest import Actions, Hub, Worker, text
from .killing import answers
from .test_entity_queries import OK, lock, query, signal, store

A = "@counter@a"


def call(number: int) -> pb.OrchestratorAction:
    called = pb.EntityOperationCalledEvent(
        requestId=f"r{number}", operation="get", targetInstanceId=text(A)
    )
    return Actions.entity(number, entityOperationCalled=called)


def unlock(number: int) -> pb.OrchestratorAction:
    left = pb.EntityUnlockSentEvent(criticalSectionId="cs", targetInstanceId=text(A))
    return Actions.entity(number, entityUnlockSent=left)


async def purge(hub: Hub) -> int:
    request = pb.PurgeInstancesRequest(instanceId=A)
    return (await hub.call("PurgeInstances", request)).deletedInstanceCount


async def test_who_waits_for_a_purged_entity_is_told_and_a_late_answer_brings_nothing_back(
    hub: Hub, worker: Worker
) -> None:
    await store(hub, worker, A, "7")
    await hub.start()
    await worker.answer_turn(await worker.next(), call(1))
    under_way = await worker.next()
    assert await purge(hub) == 1
    turn = await worker.next()
    (failed,) = answers(list(turn.orchestratorRequest.newEvents), "entityOperationFailed")
    assert (failed.requestId, failed.failureDetails.errorType) == ("r1", "EntityPurged")
    await worker.answer_entity(under_way, "8", OK)
    assert await query(hub, includeTransient=True) == []
    await worker.answer_turn(turn, call(2))
    item = await worker.next()
    assert not item.entityRequestV2.HasField("entityState"), "it begins anew"


async def test_a_lock_outlives_the_purge_of_its_entity(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await store(hub, worker, A, "7")
    turn = await lock(hub, worker, act, A)
    await hub.start("other")
    wanted = pb.EntityLockRequestedEvent(criticalSectionId="next", lockSet=[A], position=0)
    await worker.answer_turn(await worker.next(), act.entity(1, entityLockRequested=wanted))
    await signal(hub)
    assert await purge(hub) == 1
    [entity] = await query(hub, includeTransient=True)
    assert (entity.lockedBy.value, entity.backlogQueueSize) == ("wf", 1)
    await worker.answer_turn(turn, unlock(2), act.complete())
    granted = await worker.next()
    assert granted.orchestratorRequest.instanceId == "other"
    assert granted.orchestratorRequest.newEvents[1].HasField("entityLockGranted")
    assert await purge(hub) == 0
