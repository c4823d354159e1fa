"""Turns too large for one message: histories on a stream of their own, answers in parts."""

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import Int32Value

from .conftest import Actions, Hub, Worker, kinds, text

HISTORY_STREAMING = pb.WORKER_CAPABILITY_HISTORY_STREAMING


@pytest.fixture
async def streaming(hub: Hub) -> Worker:
    """A worker that reads histories on a stream, with an instance that has a history."""
    found = hub.worker()
    found.request.capabilities.append(HISTORY_STREAMING)
    await found.connect()
    await hub.start()
    await found.answer_turn(await found.next(), Actions.task(1))
    await found.answer_activity(await found.next(), "1")
    return found


async def streamed(hub: Hub, **fields: object) -> list[pb.HistoryChunk]:
    request = pb.StreamInstanceHistoryRequest(forWorkItemProcessing=True, **fields)
    stream = hub.client.stub.StreamInstanceHistory(request, metadata=hub.client.metadata)
    return [chunk async for chunk in stream]


async def part(
    worker: Worker, item: pb.WorkItem, index: int, action: pb.OrchestratorAction, **fields: object
) -> None:
    response = pb.OrchestratorResponse(
        instanceId=item.orchestratorRequest.instanceId,
        completionToken=item.completionToken,
        actions=[action],
        chunkIndex=Int32Value(value=index),
        **fields,
    )
    await worker.client.stub.CompleteOrchestratorTask(response, metadata=worker.client.metadata)


async def test_a_worker_that_streams_histories_gets_turns_without_them(
    hub: Hub, streaming: Worker
) -> None:
    request = (await streaming.next()).orchestratorRequest
    assert request.requiresHistoryStreaming
    assert kinds(list(request.pastEvents)) == []
    assert kinds(list(request.newEvents)) == ["orchestratorStarted", "taskCompleted"]
    (chunk,) = await streamed(hub, instanceId="wf", executionId=request.executionId)
    assert kinds(list(chunk.events)) == [
        "orchestratorStarted",
        "executionStarted",
        "taskScheduled",
        "orchestratorCompleted",
    ]


async def test_a_worker_that_does_not_stream_gets_the_history_inline(
    hub: Hub, streaming: Worker
) -> None:
    await streaming.lose()
    other = hub.worker()
    await other.connect()
    request = (await other.next()).orchestratorRequest
    assert (len(request.pastEvents), request.requiresHistoryStreaming) == (4, False)


async def test_a_worker_that_asks_for_the_history_gets_it_with_the_turn(
    hub: Hub, streaming: Worker, act: Actions
) -> None:
    item = await streaming.next()
    asking = pb.OrchestratorResponse(completionToken=item.completionToken, requiresHistory=True)
    await hub.call("CompleteOrchestratorTask", asking)
    again = await streaming.next()
    assert len(again.orchestratorRequest.pastEvents) == 4
    await streaming.answer_turn(again, act.complete())
    assert (await hub.wait()).output.value == '"done"'


async def test_a_worker_that_asks_for_the_state_gets_the_operations_again(
    hub: Hub, worker: Worker
) -> None:
    await hub.call("SignalEntity", pb.SignalEntityRequest(instanceId="@a@k", name="add"))
    item = await worker.next()
    asking = pb.EntityBatchResult(
        completionToken=item.completionToken, requiresState=True, results=[pb.OperationResult()]
    )
    await hub.call("CompleteEntityTask", asking)
    assert len((await worker.next()).entityRequestV2.operationRequests) == 1


async def test_the_history_of_an_execution_that_is_gone_is_not_found(
    hub: Hub, streaming: Worker
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        await streamed(hub, instanceId="wf", executionId=text("another"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_long_history_comes_in_messages_that_any_client_takes(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    big = [act.task(number, given="x" * 900_000) for number in range(10)]
    await worker.answer_turn(await worker.next(), *big)
    chunks = await streamed(hub, instanceId="wf")
    assert max(chunk.ByteSize() for chunk in chunks) < 4 * 1024 * 1024
    assert kinds([e for chunk in chunks for e in chunk.events]).count("taskScheduled") == 10


async def test_an_answer_in_parts_is_applied_as_one(hub: Hub, worker: Worker, act: Actions) -> None:
    await hub.start()
    turn = await worker.next()
    await part(worker, turn, 0, act.task(1), isPartial=True, customStatus=text('"s"'))
    assert await worker.nothing_comes()
    assert kinds(await hub.history()) == []
    none = Int32Value(value=0)
    await part(worker, turn, 1, act.task(2), numEventsProcessed=none)
    assert {(await worker.next()).activityRequest.taskId for _ in range(2)} == {1, 2}
    found = kinds(await hub.history())
    assert (found.count("taskScheduled"), found.count("executionStarted")) == (2, 1)
    assert (await hub.get()).orchestrationState.customStatus.value == '"s"'


@pytest.mark.parametrize("second", [0, 2, -1])
async def test_parts_in_a_wrong_order_are_refused_and_the_turn_comes_again(
    hub: Hub, worker: Worker, act: Actions, second: int
) -> None:
    await hub.start()
    turn = await worker.next()
    await part(worker, turn, 0, act.task(1), isPartial=True)
    with pytest.raises(grpc.RpcError) as raised:
        await part(worker, turn, second, act.task(2))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await worker.answer_turn(await worker.next(), act.complete())
    assert kinds(await hub.history()).count("taskScheduled") == 0


async def test_parts_without_end_are_refused(hub: Hub, worker: Worker, act: Actions) -> None:
    await hub.start()
    turn = await worker.next()
    huge = act.task(1, given="x" * 30_000_000)
    await part(worker, turn, 0, huge, isPartial=True)
    await part(worker, turn, 1, huge, isPartial=True)
    with pytest.raises(grpc.RpcError) as raised:
        await part(worker, turn, 2, huge, isPartial=True)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_parts_of_a_lost_worker_are_forgotten(hub: Hub, worker: Worker, act: Actions) -> None:
    await hub.start()
    turn = await worker.next()
    await part(worker, turn, 0, act.task(1), isPartial=True)
    await worker.lose()
    second = hub.worker()
    await second.connect()
    again = await second.next()
    await part(worker, turn, 1, act.task(2))
    await second.answer_turn(again, act.complete())
    assert kinds(await hub.history()).count("taskScheduled") == 0


async def test_events_too_large_for_one_message_come_in_several_turns(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    big = text("x" * 1_500_000)
    for _ in range(4):
        await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="e", input=big))
    seen: list[str | None] = []
    while seen.count("eventRaised") < 4:
        item = await worker.next()
        seen += kinds(list(item.orchestratorRequest.newEvents))
        assert (
            item.ByteSize() - sum(e.ByteSize() for e in item.orchestratorRequest.pastEvents) < 4e6
        )
        await worker.answer_turn(item)
    assert seen.count("executionStarted") == 1


async def test_operations_too_large_for_one_message_come_in_several_batches(
    hub: Hub, worker: Worker
) -> None:
    signal = pb.SignalEntityRequest(instanceId="@a@k", name="add", input=text("x" * 1_500_000))
    await worker.lose()
    for _ in range(3):
        await hub.call("SignalEntity", signal)
    second = hub.worker()
    await second.connect()
    ok = pb.OperationResult(success=pb.OperationResultSuccess())
    for _ in range(3):
        item = await second.next()
        assert len(item.entityRequestV2.operationRequests) == 1
        await second.answer_entity(item, "1", ok)


async def test_a_history_too_large_for_any_message_fails_its_instance_alone(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    big = text("x" * 30_000_000)
    for _ in range(3):
        await worker.answer_turn(await worker.next())
        await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="e", input=big))
    failure = (await hub.wait()).failureDetails
    assert (failure.errorType, "Continue as new" in failure.errorMessage) == (
        "WorkItemTooLarge",
        True,
    )
    await hub.start("other")
    await worker.answer_turn(await worker.next(), act.complete())
    assert await hub.status("other") == "COMPLETED"
