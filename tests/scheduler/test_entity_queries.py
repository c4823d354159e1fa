"""Entities as clients see them; signals and starts for later; locks and continue-as-new."""

from datetime import timedelta

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import Int32Value

from .conftest import START, Actions, Hub, Worker, stamp, text

OK = pb.OperationResult(success=pb.OperationResultSuccess())
DAY = timedelta(days=1)


async def signal(hub: Hub, entity: str = "@counter@a", **fields: object) -> None:
    request = pb.SignalEntityRequest(instanceId=entity, name="add", requestId="r", **fields)
    await hub.call("SignalEntity", request)


async def store(hub: Hub, worker: Worker, entity: str, state: str | None) -> None:
    await signal(hub, entity)
    await worker.answer_entity(await worker.next(), state, OK)


async def lock(hub: Hub, worker: Worker, act: Actions, *entities: str) -> pb.WorkItem:
    """Let `wf` lock entities; gives its turn after that."""
    await hub.start()
    request = pb.EntityLockRequestedEvent(criticalSectionId="cs", lockSet=entities, position=0)
    await worker.answer_turn(await worker.next(), act.entity(1, entityLockRequested=request))
    turn = await worker.next()
    assert turn.orchestratorRequest.newEvents[1].HasField("entityLockGranted")
    return turn


async def query(hub: Hub, **fields: object) -> list[pb.EntityMetadata]:
    request = pb.QueryEntitiesRequest(query=pb.EntityQuery(**fields))
    return list((await hub.call("QueryEntities", request)).entities)


async def test_an_entity_is_told_in_full(hub: Hub, worker: Worker, act: Actions) -> None:
    await hub.clock.advance(DAY)
    await store(hub, worker, "@counter@a", "7")
    await lock(hub, worker, act, "@counter@a")
    await signal(hub)
    await signal(hub)
    request = pb.GetEntityRequest(instanceId="@Counter@a", includeState=True)
    entity = (await hub.call("GetEntity", request)).entity
    assert (entity.instanceId, entity.serializedState.value) == ("@counter@a", "7")
    assert (entity.backlogQueueSize, entity.lockedBy.value) == (2, "wf")
    assert entity.lastModifiedTime == stamp(START + DAY)
    [listed] = await query(hub, includeState=True)
    assert listed == entity
    [listed] = await query(hub)
    assert not listed.HasField("serializedState")


async def test_entities_are_listed_by_when_they_were_changed(hub: Hub, worker: Worker) -> None:
    for key in ("a", "b", "c"):
        await store(hub, worker, f"@counter@{key}", "1")
        await hub.clock.advance(DAY)
    window = {"lastModifiedFrom": stamp(START + DAY), "lastModifiedTo": stamp(START + 2 * DAY)}
    assert [entity.instanceId for entity in await query(hub, **window)] == ["@counter@b"]


@pytest.mark.parametrize("prefix", ["Counter", "@Counter", "@counter@", "@COUNTER@a"])
async def test_entities_are_listed_by_the_beginning_of_their_ids(
    hub: Hub, worker: Worker, prefix: str
) -> None:
    await store(hub, worker, "@counter@aB", "1")
    await store(hub, worker, "@other@a", "1")
    found = await query(hub, instanceIdStartsWith=text(prefix))
    assert [entity.instanceId for entity in found] == ["@counter@aB"]


async def test_entities_come_in_pages_of_the_size_that_was_asked_for(
    hub: Hub, worker: Worker
) -> None:
    for key in "abc":
        await store(hub, worker, f"@counter@{key}", "1")
    found: list[int] = []
    token = None
    while token != "":
        asked = pb.EntityQuery(pageSize=Int32Value(value=2), continuationToken=text(token))
        page = await hub.call("QueryEntities", pb.QueryEntitiesRequest(query=asked))
        found.append(len(page.entities))
        token = page.continuationToken.value
    assert found == [2, 1]


async def test_an_entity_without_a_state_is_listed_only_as_a_transient_one(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    turn = await lock(hub, worker, act, "@counter@a")
    assert await query(hub) == []
    [entity] = await query(hub, includeTransient=True)
    assert (entity.instanceId, entity.lockedBy.value) == ("@counter@a", "wf")
    await worker.answer_turn(turn, act.complete())
    await hub.wait()
    assert await query(hub, includeTransient=True) == []


async def test_there_is_nothing_to_clean(hub: Hub, worker: Worker) -> None:
    await store(hub, worker, "@counter@a", None)
    request = pb.CleanEntityStorageRequest(removeEmptyEntities=True, releaseOrphanedLocks=True)
    answer = await hub.call("CleanEntityStorage", request)
    assert (answer.emptyEntitiesRemoved, answer.orphanedLocksReleased) == (0, 0)
    assert await query(hub, includeTransient=True) == []


async def test_locks_are_taken_in_order_and_all_of_them(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await lock(hub, worker, act, "@counter@a", "@counter@b", "@other@c")
    found = await query(hub, includeTransient=True)
    assert [entity.lockedBy.value for entity in found] == ["wf", "wf", "wf"]


@pytest.mark.parametrize("how", ["anew", "purged"])
async def test_a_lock_ends_with_its_holders_generation(
    hub: Hub, worker: Worker, act: Actions, how: str
) -> None:
    turn = await lock(hub, worker, act, "@counter@a")
    await signal(hub)
    if how == "anew":
        await worker.answer_turn(turn, act.anew("2"))
    else:
        await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="wf"))
        await hub.call("PurgeInstances", pb.PurgeInstancesRequest(instanceId="wf"))
    items = [await worker.next() for _ in range(2 if how == "anew" else 1)]
    assert any(item.entityRequestV2.instanceId == "@counter@a" for item in items)


async def test_an_orchestrators_signal_for_later_comes_when_it_is_due(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    later = pb.EntityOperationSignaledEvent(
        operation="add",
        requestId="r",
        targetInstanceId=text("@counter@a"),
        scheduledTime=stamp(START + DAY),
    )
    action = act.entity(1, entityOperationSignaled=later)
    await worker.answer_turn(await worker.next(), action, act.complete())
    assert await worker.nothing_comes()
    await hub.clock.advance(DAY)
    [operation] = (await worker.next()).entityRequestV2.operationRequests
    assert operation.entityOperationSignaled.operation == "add"


async def test_what_an_entity_sends_for_later_comes_when_it_is_due(
    hub: Hub, worker: Worker
) -> None:
    await signal(hub)
    item = await worker.next()
    due = stamp(START + DAY)
    sent = pb.SendSignalAction(instanceId="@other@x", name="hi", scheduledTime=due)
    start = pb.StartNewOrchestrationAction(instanceId="new", name="flow", scheduledTime=due)
    result = pb.EntityBatchResult(
        results=[OK],
        actions=[
            pb.OperationAction(sendSignal=sent),
            pb.OperationAction(startNewOrchestration=start),
        ],
        completionToken=item.completionToken,
    )
    await hub.call("CompleteEntityTask", result)
    assert await worker.nothing_comes()
    assert await hub.status("new") == "PENDING"
    await hub.clock.advance(DAY)
    kinds = {(await worker.next()).WhichOneof("request") for _ in range(2)}
    assert kinds == {"entityRequestV2", "orchestratorRequest"}
