"""Work that a worker gives back goes to another one, and comes back to it when there is none."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from durabletask import task
from durabletask import worker as sdk_worker
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.clock import SystemClock
from local_runtime.scheduler.dispatch.dispatcher import RETRY_SECONDS

from .conftest import Actions, Hub, Worker, running
from .sdk import Sdk, connected

TURN, ACTIVITY, BATCH = KINDS = ("orchestratorRequest", "activityRequest", "entityRequestV2")

_GIVE_BACK = {
    TURN: ("AbandonTaskOrchestratorWorkItem", pb.AbandonOrchestrationTaskRequest),
    ACTIVITY: ("AbandonTaskActivityWorkItem", pb.AbandonActivityTaskRequest),
    BATCH: ("AbandonTaskEntityWorkItem", pb.AbandonEntityTaskRequest),
}


async def give_back(worker: Worker, item: pb.WorkItem) -> None:
    method, request = _GIVE_BACK[item.WhichOneof("request")]
    call = getattr(worker.client.stub, method)
    await call(request(completionToken=item.completionToken), metadata=worker.client.metadata)


async def work_for(hub: Hub, worker: Worker, kind: str, act: Actions) -> pb.WorkItem:
    """Let there be one work item of a kind, which the only worker gets."""
    if kind == BATCH:
        request = pb.SignalEntityRequest(instanceId="@counter@a", name="add", requestId="r")
        await hub.call("SignalEntity", request)
    else:
        await hub.start()
    item = await worker.next()
    if kind == ACTIVITY:
        await worker.answer_turn(item, act.task(1))
        item = await worker.next()
    assert item.WhichOneof("request") == kind
    return item


async def another(hub: Hub) -> Worker:
    found = hub.worker()
    await found.connect()
    return found


async def occupy(hub: Hub, worker: Worker, second: Worker, kind: str, act: Actions) -> None:
    """Let the second worker hold an item of a kind; the first one holds one already."""
    if kind == BATCH:
        request = pb.SignalEntityRequest(instanceId="@counter@b", name="add", requestId="r")
        await hub.call("SignalEntity", request)
    else:
        await hub.start("b")
    if kind == ACTIVITY:
        await worker.answer_turn(await worker.next(), act.task(1))
    assert (await second.next()).WhichOneof("request") == kind


@pytest.mark.parametrize("kind", KINDS)
async def test_work_given_back_goes_to_the_other_worker_though_it_has_more_to_do(
    hub: Hub, worker: Worker, act: Actions, kind: str
) -> None:
    item = await work_for(hub, worker, kind, act)
    second = await another(hub)
    await occupy(hub, worker, second, kind, act)
    await give_back(worker, item)
    again = await second.next()
    assert target(again) == target(item)
    assert again.completionToken != item.completionToken


@pytest.mark.parametrize("kind", KINDS)
async def test_work_given_back_comes_back_to_the_only_worker(
    hub: Hub, worker: Worker, act: Actions, kind: str
) -> None:
    item = await work_for(hub, worker, kind, act)
    await give_back(worker, item)
    again = await worker.next()
    assert target(again) == target(item)
    assert again.completionToken != item.completionToken


async def test_it_comes_back_when_the_other_worker_has_no_room(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    item = await work_for(hub, worker, ACTIVITY, act)
    second = hub.worker()
    second.request.maxConcurrentActivityWorkItems = 1
    await second.connect()
    await occupy(hub, worker, second, ACTIVITY, act)
    await give_back(worker, item)
    assert target(await worker.next()) == target(item)


async def test_it_comes_back_when_the_other_worker_does_not_want_it(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    item = await work_for(hub, worker, TURN, act)
    second = hub.worker()
    second.request.workItemFilters.orchestrations.add(name="another")
    await second.connect()
    await give_back(worker, item)
    assert target(await worker.next()) == target(item)


async def test_it_comes_back_when_the_other_worker_is_gone(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    item = await work_for(hub, worker, TURN, act)
    second = await another(hub)
    await give_back(worker, item)
    await second.next()
    await second.lose()
    assert target(await worker.next()) == target(item)


async def test_an_activity_given_back_does_not_run_when_its_instance_has_ended(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await give_back(worker, await work_for(hub, worker, ACTIVITY, act))
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="wf"))
    await hub.start("later")
    # By the time that this comes again the moment of the other is over.
    await give_back(worker, await worker.next())
    assert target(await worker.next()) == "later"


async def test_an_activity_given_back_runs_though_its_worker_has_gone(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    item = await work_for(hub, worker, ACTIVITY, act)
    await give_back(worker, item)
    await worker.lose()
    second = await another(hub)
    assert target(await second.next()) == target(item)


async def test_two_who_refuse_it_do_not_keep_it_from_a_third(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    item = await work_for(hub, worker, TURN, act)
    second, third = await another(hub), await another(hub)
    await give_back(worker, item)
    await give_back(second, await second.next())
    await third.answer_turn(await third.next(), act.complete())
    assert (await hub.wait()).output.value == '"done"'


async def test_two_who_refuse_it_take_turns_and_wait_between(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    item = await work_for(hub, worker, TURN, act)
    second = await another(hub)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for refuses, takes in ((worker, second), (second, worker), (worker, second)):
        await give_back(refuses, item)
        item = await takes.next()
    assert loop.time() - began >= 3 * RETRY_SECONDS * 0.9


async def test_each_piece_of_work_is_refused_for_itself(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.task(1), act.task(2))
    items = [await worker.next() for _ in range(2)]
    second = await another(hub)
    for item in items:
        await give_back(worker, item)
    again = [await second.next() for _ in range(2)]
    assert sorted(item.activityRequest.taskId for item in again) == [1, 2]


async def test_what_was_refused_once_is_nobodys_concern_when_it_is_done(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    item = await work_for(hub, worker, TURN, act)
    second = await another(hub)
    await give_back(worker, item)
    await second.answer_turn(await second.next())
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="go"))
    assert (await worker.next()).orchestratorRequest.newEvents[1].HasField("eventRaised")


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    async with running(tmp_path / "data", SystemClock()) as found:
        yield found


async def test_an_sdk_worker_of_another_version_leaves_the_work_to_the_right_one(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "local_runtime.scheduler")
    async with connected(address) as old, connected(address) as new:
        for sdk, version in ((old, "1.0.0"), (new, "2.0.0")):
            takes_only(sdk, version)
            await runs(new, version)  # which shows that its worker is connected
        caplog.clear()
        await runs(new, "2.0.0")
    refusals = [record for record in caplog.records if "gave its" in record.getMessage()]
    assert len(refusals) <= 1


async def runs(sdk: Sdk, version: str) -> None:
    """Run an orchestration that only a worker of this version takes."""
    instance_id = await sdk.client.schedule_new_orchestration("versioned", version=version)
    assert (await sdk.finished(instance_id)).get_output() == version


def takes_only(sdk: Sdk, version: str) -> None:
    """Start a worker that refuses what is not of its version."""

    def versioned(context: task.OrchestrationContext, _: None):
        return version

    sdk.worker.use_versioning(
        sdk_worker.VersioningOptions(
            version,
            match_strategy=sdk_worker.VersionMatchStrategy.STRICT,
            failure_strategy=sdk_worker.VersionFailureStrategy.REJECT,
        )
    )
    sdk.has(versioned)


def target(item: pb.WorkItem) -> str:
    """The id of whom a work item is for."""
    match item.WhichOneof("request"):
        case "orchestratorRequest":
            return item.orchestratorRequest.instanceId
        case "activityRequest":
            return item.activityRequest.orchestrationInstance.instanceId
        case _:
            return item.entityRequestV2.instanceId
