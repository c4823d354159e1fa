"""Rows that make no sense: shown as broken, told of once, and the end of nothing else."""

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import grpc
import httpx
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.scheduler.client import SchedulerClient
from tests.ports import free_port

from .conftest import Actions, Hub, Scheduler, Worker
from .damaging import FILE

BAD_TEXT = "CAST(x'68ff69' AS TEXT)"
DAMAGES = {
    "its name": f"UPDATE instances SET name = {BAD_TEXT} WHERE instance_id = 'bad'",
    "its input": f"UPDATE instances SET input = {BAD_TEXT} WHERE instance_id = 'bad'",
    "its status": f"UPDATE instances SET custom_status = {BAD_TEXT} WHERE instance_id = 'bad'",
    "its start": "UPDATE instances SET started = x'ffff' WHERE instance_id = 'bad'",
    "its inbox": "UPDATE inbox SET event = x'ffff' WHERE target_id = 'bad'",
    "its history": "UPDATE history SET events = x'ffff' WHERE instance_id = 'bad'",
    "no history": "DELETE FROM history WHERE instance_id = 'bad'",
    "its length": "UPDATE instances SET history_length = 77 WHERE instance_id = 'bad'",
    "its activity": "UPDATE tasks SET request = x'ffff' WHERE instance_id = 'bad'",
}


@pytest.fixture
async def filled(hub: Hub, act: Actions) -> Hub:
    """Three instances; `bad` has an input, a history, an activity and an event in its inbox."""
    worker = hub.worker()
    await worker.connect()
    for instance_id in ("first", "bad", "last"):
        await hub.start(instance_id, input=StringValue(value='"given"'))
        turn = await worker.next()
        await worker.answer_turn(turn, act.task(1), status='"one"')
        await worker.next()
    await worker.lose()
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="bad", name="go"))
    return hub


def damage(scheduler: Scheduler, statement: str) -> None:
    """Change rows behind the scheduler's back, so that their checksums are wrong."""
    with contextlib.closing(sqlite3.connect(scheduler.folder / FILE)) as file, file:
        assert file.execute(statement).rowcount > 0


async def states(hub: Hub, **query: object) -> dict[str, pb.OrchestrationState]:
    asked = pb.InstanceQuery(fetchInputsAndOutputs=True, **query)
    found = await hub.call("QueryInstances", pb.QueryInstancesRequest(query=asked))
    return {state.instanceId: state for state in found.orchestrationState}


@pytest.mark.parametrize("what", DAMAGES)
async def test_a_damaged_instance_is_shown_as_failed_in_every_list(
    scheduler: Scheduler, filled: Hub, what: str
) -> None:
    await scheduler.stop()
    damage(scheduler, DAMAGES[what])
    await scheduler.start()
    hub = await scheduler.hub()
    for filters in ({}, {"runtimeStatus": [pb.ORCHESTRATION_STATUS_FAILED]}):
        listed = await states(hub, **filters)
        assert listed["bad"].failureDetails.errorType == "DamagedData"
        assert "bad" in listed["bad"].failureDetails.errorMessage
    running = await states(hub, runtimeStatus=[pb.ORCHESTRATION_STATUS_RUNNING])
    assert set(running) - {"bad"} == {"first", "last"}
    assert (await hub.get("bad")).orchestrationState.failureDetails.errorType == "DamagedData"
    assert (await hub.wait("bad")).orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED


@pytest.mark.parametrize("what", DAMAGES)
async def test_the_others_go_on_and_the_log_tells_once(
    scheduler: Scheduler,
    filled: Hub,
    act: Actions,
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    await scheduler.stop()
    damage(scheduler, DAMAGES[what])
    await scheduler.start()
    hub = await scheduler.hub()
    worker = hub.worker()
    await worker.connect()
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="first", name="go"))
    await end_all(worker, act, {"first", "last"})
    assert (await hub.wait("first")).output.value == (await hub.wait("last")).output.value
    # Another event does not make it go on, or be told of again.
    with contextlib.suppress(grpc.RpcError):
        await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="bad", name="again"))
    assert await worker.nothing_comes()
    told = [line for line in caplog.messages if "bad: its data in the table" in line]
    assert len(told) == 1
    assert not any("could not be put together" in line for line in caplog.messages)


async def end_all(worker: Worker, act: Actions, wanted: set[str]) -> None:
    """Answer what comes until some instances have ended; what is `bad` gets no turn."""
    ended: set[str] = set()
    while ended != wanted:
        item = await worker.next()
        if item.HasField("activityRequest"):
            await worker.answer_activity(item, "1")
            continue
        assert item.orchestratorRequest.instanceId != "bad"
        done = [e for e in item.orchestratorRequest.newEvents if e.HasField("taskCompleted")]
        await worker.answer_turn(item, *([act.complete()] if done else []))
        if done:
            ended.add(item.orchestratorRequest.instanceId)


@pytest.mark.parametrize("what", DAMAGES)
async def test_a_damaged_instance_can_be_ended_and_purged(
    scheduler: Scheduler, filled: Hub, what: str
) -> None:
    await scheduler.stop()
    damage(scheduler, DAMAGES[what])
    await scheduler.start()
    hub = await scheduler.hub()
    with contextlib.suppress(grpc.RpcError):  # one whose own row is damaged cannot be
        await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="bad"))
    purged = await hub.call("PurgeInstances", pb.PurgeInstancesRequest(instanceId="bad"))
    assert purged.deletedInstanceCount == 1
    assert not (await hub.get("bad")).exists
    await hub.start("bad")
    assert await hub.status("bad") == "PENDING"


async def test_damage_that_comes_while_it_runs_is_noticed_by_who_reads_it(
    scheduler: Scheduler, filled: Hub
) -> None:
    damage(scheduler, DAMAGES["its history"])
    with pytest.raises(grpc.RpcError) as raised:
        await filled.history("bad")
    assert raised.value.code() is grpc.StatusCode.DATA_LOSS
    damage(scheduler, DAMAGES["its input"])
    assert (await states(filled))["bad"].failureDetails.errorType == "DamagedData"


async def test_ids_that_are_no_text_end_no_list_and_no_paging(
    scheduler: Scheduler, filled: Hub
) -> None:
    damage(scheduler, f"UPDATE instances SET instance_id = {BAD_TEXT} WHERE instance_id = 'bad'")
    found: list[str] = []
    query = pb.InstanceQuery(maxInstanceCount=1)
    while len(found) < 10:
        page = await filled.call("QueryInstances", pb.QueryInstancesRequest(query=query))
        found += [state.instanceId for state in page.orchestrationState]
        if not page.continuationToken.value:
            break
        query.continuationToken.CopyFrom(page.continuationToken)
    assert sorted(found) == ["first", "h\ufffdi", "last"]


async def test_a_damaged_entity_is_shown_as_such_and_gets_no_work(
    scheduler: Scheduler, hub: Hub, worker: Worker
) -> None:
    for key in ("a", "b", "c"):
        await hub.call("SignalEntity", pb.SignalEntityRequest(instanceId=f"@e@{key}", name="add"))
        done = pb.OperationResult(success=pb.OperationResultSuccess())
        await worker.answer_entity(await worker.next(), '"state"', done)
    damage(scheduler, f"UPDATE entities SET state = {BAD_TEXT} WHERE entity_id = '@e@b'")
    wanted = pb.QueryEntitiesRequest(query=pb.EntityQuery(includeState=True))
    listed = (await hub.call("QueryEntities", wanted)).entities
    assert [entity.serializedState.value[:12] for entity in listed] == [
        '"state"',
        '{"errorType"',
        '"state"',
    ]
    for key in ("b", "c"):
        await hub.call("SignalEntity", pb.SignalEntityRequest(instanceId=f"@e@{key}", name="add"))
    assert (await worker.next()).entityRequestV2.instanceId == "@e@c"
    assert await worker.nothing_comes()
    await hub.call("PurgeInstances", pb.PurgeInstancesRequest(instanceId="@e@b"))
    await hub.call("SignalEntity", pb.SignalEntityRequest(instanceId="@e@b", name="add"))
    assert not (await worker.next()).entityRequestV2.HasField("entityState")


async def test_a_damaged_timer_stops_no_other(
    scheduler: Scheduler, hub: Hub, worker: Worker, act: Actions
) -> None:
    due = hub.clock.now()
    for number in range(1, 4):
        await hub.start(f"wf{number}")
        at = due.replace(hour=number)
        await worker.answer_turn(await worker.next(), act.timer(1, at))
    damage(scheduler, "UPDATE delayed SET event = x'ffff' WHERE target_id = 'wf1'")
    await hub.clock.advance(timedelta(hours=4))
    fired = {(await worker.next()).orchestratorRequest.instanceId for _ in range(2)}
    assert fired == {"wf2", "wf3"}
    assert (await hub.wait("wf1")).failureDetails.errorType == "DamagedData"


type Damaged = Callable[[str], contextlib.AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def dashboard(scheduler: Scheduler, filled: Hub) -> Damaged:
    """A dashboard of a scheduler in a process of its own, on the same data with some damage."""

    @contextlib.asynccontextmanager
    async def serving(what: str) -> AsyncIterator[httpx.AsyncClient]:
        await scheduler.stop()
        damage(scheduler, DAMAGES[what])
        port, shown = free_port(), free_port()
        command = ["-m", "local_runtime", "scheduler", "--grpc-port", str(port)]
        options = ["--dashboard-port", str(shown), "--data", str(scheduler.folder)]
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, *command, *options], cwd=Path(__file__).parents[2]
        )
        try:
            async with (
                SchedulerClient.open(f"localhost:{port}", "default") as client,
                httpx.AsyncClient(base_url=f"http://localhost:{shown}") as http,
            ):
                request = pb.GetInstanceRequest(instanceId="x")
                await client.stub.GetInstance(request, wait_for_ready=True, timeout=30)
                yield http
        finally:
            process.terminate()
            await process.wait()

    return serving


@pytest.mark.parametrize("what", ["its name", "its history"])
async def test_the_dashboard_shows_a_damaged_instance(dashboard: Damaged, what: str) -> None:
    async with dashboard(what) as http:
        listed = await http.get("/hubs/default")
        assert listed.status_code == 200
        assert all(name in listed.text for name in ("first", "bad", "last"))
        page = await http.get("/hubs/default/instances/bad")
        assert (page.status_code, "DamagedData" in page.text) == (200, True)
