"""A worker's stream: metadata, pings, how much it gets and of what, and unasked-for answers."""

import asyncio
from datetime import timedelta

import grpc.aio
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub

from .conftest import PATIENCE, Actions, Hub, Scheduler, Worker, text


async def signal(hub: Hub, entity: str) -> None:
    request = pb.SignalEntityRequest(instanceId=entity, name="add", requestId="r")
    await hub.call("SignalEntity", request)


async def test_without_a_hub_in_the_metadata_it_is_the_default_one(
    scheduler: Scheduler, hub: Hub
) -> None:
    await hub.start()
    async with grpc.aio.insecure_channel(scheduler.address) as channel:
        found = await TaskHubSidecarServiceStub(channel).GetInstance(
            pb.GetInstanceRequest(instanceId="wf")
        )
    assert found.exists


async def test_metadata_of_workers_and_credentials_are_taken_as_they_are(hub: Hub) -> None:
    hub.client.metadata = (
        *hub.client.metadata,
        ("workerid", "host:1:x"),
        ("x-user-agent", "durabletask-python/1.12.0"),
        ("authorization", "Bearer something"),
    )
    worker = hub.worker()
    await worker.connect()
    await hub.start()
    assert (await worker.next()).HasField("orchestratorRequest")


async def test_an_idle_stream_is_pinged_and_a_client_may_ping_as_often_as_it_likes(
    scheduler: Scheduler,
) -> None:
    options = [
        ("grpc.keepalive_time_ms", 200),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    async with grpc.aio.insecure_channel(scheduler.address, options=options) as channel:
        stream = TaskHubSidecarServiceStub(channel).GetWorkItems(pb.GetWorkItemsRequest())
        # The first comes at once; clients take a stream for dead after 15 silent seconds.
        for _ in range(2):
            item = await asyncio.wait_for(stream.read(), PATIENCE)
            assert item.HasField("healthPing")
        stream.cancel()


async def test_a_limit_of_zero_is_none(hub: Hub, worker: Worker, act: Actions) -> None:
    for number in range(40):
        await signal(hub, f"@counter@{number}")
    assert len({(await worker.next()).entityRequestV2.instanceId for _ in range(40)}) == 40
    await hub.start()
    await worker.answer_turn(await worker.next(), *[act.task(n) for n in range(40)])
    assert len({(await worker.next()).activityRequest.taskId for _ in range(40)}) == 40


async def test_one_batch_of_an_entity_is_under_way_at_a_time(hub: Hub, worker: Worker) -> None:
    await signal(hub, "@counter@a")
    item = await worker.next()
    await signal(hub, "@counter@a")
    assert await worker.nothing_comes()
    done = pb.OperationResult(success=pb.OperationResultSuccess())
    await worker.answer_entity(item, "1", done)
    assert len((await worker.next()).entityRequestV2.operationRequests) == 1


async def test_an_activity_may_take_days_while_its_worker_is_there(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.task(1))
    item = await worker.next()
    second = hub.worker()
    await second.connect()
    await hub.clock.advance(timedelta(days=30))
    assert await second.nothing_comes()
    await worker.answer_activity(item, '"late"')
    # The turn goes to either of the two.
    done = [asyncio.create_task(each.next()) for each in (worker, second)]
    found, _ = await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    request = found.pop().result().orchestratorRequest
    assert request.newEvents[1].taskCompleted.result.value == '"late"'
    for left in done:
        left.cancel()


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("CompleteOrchestratorTask", pb.OrchestratorResponse(completionToken="invented")),
        ("CompleteActivityTask", pb.ActivityResponse(completionToken="invented")),
        ("CompleteEntityTask", pb.EntityBatchResult(completionToken="invented")),
        (
            "AbandonTaskOrchestratorWorkItem",
            pb.AbandonOrchestrationTaskRequest(completionToken="invented"),
        ),
        ("AbandonTaskActivityWorkItem", pb.AbandonActivityTaskRequest(completionToken="invented")),
        ("AbandonTaskEntityWorkItem", pb.AbandonEntityTaskRequest(completionToken="invented")),
    ],
)
async def test_an_unknown_token_gets_an_ordinary_answer_and_changes_nothing(
    hub: Hub, worker: Worker, act: Actions, method: str, request_: object
) -> None:
    await hub.start()
    item = await worker.next()
    await hub.call(method, request_)
    await worker.answer_turn(item, act.complete())
    assert (await hub.wait()).output.value == '"done"'


async def picky(hub: Hub, kind: str, **names: list[str]) -> Worker:
    """A worker whose filters list names of one kind, each with its versions."""
    found = hub.worker()
    for name, versions in names.items():
        entry = getattr(found.request.workItemFilters, kind).add(name=name)
        if versions:
            entry.versions.extend(versions)
    await found.connect()
    return found


async def test_filters_let_only_the_listed_versions_of_an_orchestration_through(hub: Hub) -> None:
    worker = await picky(hub, "orchestrations", flow=["1", "2026-beta"], other=[])
    for version in ("1", "2", "2026-beta"):
        await hub.start(f"flow-{version}", version=text(version))
    await hub.start("flow-none")
    await hub.start("other-7", name="other", version=text("7"))
    found = {(await worker.next()).orchestratorRequest.instanceId for _ in range(3)}
    assert found == {"flow-1", "flow-2026-beta", "other-7"}
    assert await worker.nothing_comes()
    everything = hub.worker()
    await everything.connect()
    found = {(await everything.next()).orchestratorRequest.instanceId for _ in range(2)}
    assert found == {"flow-2", "flow-none"}


async def test_filters_let_only_the_listed_versions_of_an_activity_through(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    turn = await worker.next()
    second = await picky(hub, "activities", step=["2"])
    old, new = act.task(1), act.task(2)
    old.scheduleTask.version.value, new.scheduleTask.version.value = "1", "2"
    await worker.answer_turn(turn, old)
    assert (await worker.next()).activityRequest.version.value == "1"
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="go"))
    await worker.answer_turn(await worker.next(), new)
    assert (await second.next()).activityRequest.version.value == "2"


async def test_a_kind_without_a_name_in_the_filters_takes_nothing(hub: Hub, worker: Worker) -> None:
    await worker.lose()
    second = await picky(hub, "entities", counter=[])
    await hub.start()
    await signal(hub, "@other@a")
    await signal(hub, "@Counter@a")
    assert (await second.next()).entityRequestV2.instanceId == "@counter@a"
    assert await second.nothing_comes()
