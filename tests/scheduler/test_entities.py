"""Entities: operations in order, state, deletion, locks."""

from datetime import timedelta

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from .conftest import START, Actions, Hub, Worker, kinds, stamp, text

COUNTER = "@counter@a"
OK = pb.OperationResult(success=pb.OperationResultSuccess(result=text("1")))


async def signal(hub: Hub, operation: str = "add", entity: str = COUNTER, **fields: object) -> None:
    request = pb.SignalEntityRequest(instanceId=entity, name=operation, requestId="r", **fields)
    await hub.call("SignalEntity", request)


async def entity(hub: Hub, entity_id: str = COUNTER) -> pb.GetEntityResponse:
    return await hub.call("GetEntity", pb.GetEntityRequest(instanceId=entity_id, includeState=True))


def called(request_id: str, entity_id: str = COUNTER) -> pb.EntityOperationCalledEvent:
    return pb.EntityOperationCalledEvent(
        requestId=request_id, operation="add", targetInstanceId=text(entity_id)
    )


def lock(section: str, *entities: str) -> pb.EntityLockRequestedEvent:
    return pb.EntityLockRequestedEvent(criticalSectionId=section, lockSet=entities, position=0)


def unlock(section: str, entity_id: str = COUNTER) -> pb.EntityUnlockSentEvent:
    return pb.EntityUnlockSentEvent(criticalSectionId=section, targetInstanceId=text(entity_id))


def operations(item: pb.WorkItem) -> list[str]:
    found = item.entityRequestV2.operationRequests
    return [
        event.entityOperationSignaled.operation or event.entityOperationCalled.requestId
        for event in found
    ]


async def test_signals_are_delivered_in_order_with_the_state(hub: Hub, worker: Worker) -> None:
    await signal(hub, "one")
    first = await worker.next()
    await signal(hub, "two")
    await signal(hub, "three")
    assert not first.entityRequestV2.HasField("entityState")
    await worker.answer_entity(first, "7", OK)
    second = await worker.next()
    assert second.entityRequestV2.entityState.value == "7"
    assert operations(second) == ["two", "three"]


async def test_an_entity_is_one_in_whatever_case_its_name_is_written(
    hub: Hub, worker: Worker
) -> None:
    await signal(hub, entity="@Counter@A b@c")
    item = await worker.next()
    assert item.entityRequestV2.instanceId == "@counter@A b@c"
    await worker.answer_entity(item, "1", OK)
    found = await entity(hub, "@COUNTER@A b@c")
    assert found.entity.serializedState.value == "1"


@pytest.mark.parametrize("name", ["counter", "@counter", "@@a", ""])
async def test_what_is_no_entity_id_is_refused(hub: Hub, name: str) -> None:
    with pytest.raises(Exception, match="not an entity id"):
        await signal(hub, entity=name)


async def test_a_call_is_answered_with_its_result(hub: Hub, worker: Worker, act: Actions) -> None:
    await hub.start()
    action = act.entity(1, entityOperationCalled=called("q1"))
    await worker.answer_turn(await worker.next(), action)
    await worker.answer_entity(await worker.next(), "1", OK)
    event = (await worker.next()).orchestratorRequest.newEvents[1].entityOperationCompleted
    assert (event.requestId, event.output.value) == ("q1", "1")


async def test_a_failed_operation_fails_its_call(hub: Hub, worker: Worker, act: Actions) -> None:
    await hub.start()
    action = act.entity(1, entityOperationCalled=called("q1"))
    await worker.answer_turn(await worker.next(), action)
    failure = pb.TaskFailureDetails(errorType="E", errorMessage="m")
    outcome = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=failure))
    await worker.answer_entity(await worker.next(), None, outcome)
    event = (await worker.next()).orchestratorRequest.newEvents[1].entityOperationFailed
    assert event.failureDetails == failure


async def test_operations_a_worker_did_not_reach_stay_queued(hub: Hub, worker: Worker) -> None:
    await signal(hub, "zero")
    first = await worker.next()
    for name in ("one", "two", "three"):
        await signal(hub, name)
    await worker.answer_entity(first, "0", OK)
    item = await worker.next()
    await worker.answer_entity(item, "1", OK)
    assert operations(await worker.next()) == ["two", "three"]


async def test_an_entity_without_a_state_ceases_to_exist(hub: Hub, worker: Worker) -> None:
    await signal(hub)
    await worker.answer_entity(await worker.next(), "1", OK)
    assert (await entity(hub)).exists
    await signal(hub, "delete")
    await worker.answer_entity(await worker.next(), None, OK)
    assert not (await entity(hub)).exists


async def test_a_failed_batch_fails_its_calls_and_keeps_the_state(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await signal(hub)
    await worker.answer_entity(await worker.next(), "1", OK)
    await hub.start()
    action = act.entity(1, entityOperationCalled=called("q1"))
    await worker.answer_turn(await worker.next(), action)
    item = await worker.next()
    failure = pb.TaskFailureDetails(errorType="EntityFunctionNotFound", errorMessage="gone")
    await hub.call(
        "CompleteEntityTask",
        pb.EntityBatchResult(completionToken=item.completionToken, failureDetails=failure),
    )
    event = (await worker.next()).orchestratorRequest.newEvents[1].entityOperationFailed
    assert event.failureDetails == failure
    assert (await entity(hub)).entity.serializedState.value == "1"


async def test_a_delayed_signal_comes_when_it_is_due(hub: Hub, worker: Worker) -> None:
    await signal(hub, scheduledTime=stamp(START + timedelta(days=30)))
    assert await worker.nothing_comes()
    await hub.clock.advance(timedelta(days=30))
    assert operations(await worker.next()) == ["add"]


async def test_an_entity_signals_others_and_starts_orchestrations(hub: Hub, worker: Worker) -> None:
    await signal(hub)
    item = await worker.next()
    result = pb.EntityBatchResult(results=[OK], completionToken=item.completionToken)
    result.actions.add().sendSignal.MergeFrom(pb.SendSignalAction(instanceId="@Other@x", name="hi"))
    result.actions.add().startNewOrchestration.MergeFrom(
        pb.StartNewOrchestrationAction(instanceId="new", name="flow", input=text("5"))
    )
    await hub.call("CompleteEntityTask", result)
    items = [await worker.next(), await worker.next()]
    found = {item.WhichOneof("request"): item for item in items}
    assert found["entityRequestV2"].entityRequestV2.instanceId == "@other@x"
    started = found["orchestratorRequest"].orchestratorRequest.newEvents[1].executionStarted
    assert (started.name, started.input.value) == ("flow", "5")


async def held(hub: Hub, worker: Worker, act: Actions, owner: str, *entities: str) -> pb.WorkItem:
    """Start an orchestration that locks entities; gives its turn after the lock was granted."""
    await hub.start(owner)
    request = act.entity(1, entityLockRequested=lock(f"cs-{owner}", *entities))
    await worker.answer_turn(await worker.next(), request)
    turn = await worker.next()
    granted = turn.orchestratorRequest.newEvents[1].entityLockGranted
    assert granted.criticalSectionId == f"cs-{owner}"
    return turn


async def test_while_locked_only_the_holder_is_served(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    turn = await held(hub, worker, act, "owner", COUNTER, "@counter@b")
    await signal(hub, "outside")
    assert await worker.nothing_comes()
    call = act.entity(2, entityOperationCalled=called("mine"))
    await worker.answer_turn(turn, call)
    item = await worker.next()
    assert operations(item) == ["mine"]
    await worker.answer_entity(item, "1", OK)
    release = act.entity(3, entityUnlockSent=unlock("cs-owner"))
    await worker.answer_turn(await worker.next(), release)
    assert operations(await worker.next()) == ["outside"]


async def test_a_second_lock_waits_for_the_first(hub: Hub, worker: Worker, act: Actions) -> None:
    turn = await held(hub, worker, act, "first", COUNTER)
    await hub.start("second")
    request = act.entity(1, entityLockRequested=lock("cs-second", COUNTER))
    await worker.answer_turn(await worker.next(), request)
    assert await worker.nothing_comes()
    await worker.answer_turn(turn, act.entity(9, entityUnlockSent=unlock("cs-first")))
    granted = (await worker.next()).orchestratorRequest
    assert granted.instanceId == "second"
    assert kinds(list(granted.newEvents))[1] == "entityLockGranted"


@pytest.mark.parametrize("how", ["completed", "terminated"])
async def test_a_finished_holder_releases_its_locks(
    hub: Hub, worker: Worker, act: Actions, how: str
) -> None:
    turn = await held(hub, worker, act, "owner", COUNTER)
    await signal(hub, "outside")
    if how == "completed":
        await worker.answer_turn(turn, act.complete())
    else:
        await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="owner"))
    assert operations(await worker.next()) == ["outside"]


async def test_a_finished_orchestration_is_granted_no_lock(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    turn = await held(hub, worker, act, "first", COUNTER)
    await hub.start("second")
    request = act.entity(1, entityLockRequested=lock("cs-second", COUNTER))
    await worker.answer_turn(await worker.next(), request)
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="second"))
    await signal(hub, "outside")
    await worker.answer_turn(turn, act.complete())
    assert operations(await worker.next()) == ["outside"]
