"""Lists, purges, histories; task hubs kept apart."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.errors import StartupError
from local_runtime.scheduler.service.server import SchedulerSettings, serve

from .conftest import START, Actions, Hub, Scheduler, Worker, running, stamp, text


async def query(hub: Hub, **fields: object) -> pb.QueryInstancesResponse:
    return await hub.call(
        "QueryInstances", pb.QueryInstancesRequest(query=pb.InstanceQuery(**fields))
    )


def ids(response: pb.QueryInstancesResponse) -> list[str]:
    return [state.instanceId for state in response.orchestrationState]


async def test_pages_have_the_size_that_was_asked_for_and_miss_nothing(hub: Hub) -> None:
    for number in range(7):
        await hub.start(f"wf{number}")
        await hub.clock.advance(timedelta(seconds=number % 2))
    found: list[list[str]] = []
    token = None
    while token != "":
        page = await query(hub, maxInstanceCount=3, continuationToken=text(token))
        found.append(ids(page))
        token = page.continuationToken.value
    assert [len(page) for page in found] == [3, 3, 1]
    assert sorted(name for page in found for name in page) == [f"wf{n}" for n in range(7)]
    assert found[0][0] == "wf6"


async def test_lists_are_filtered_by_status_time_and_prefix(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start("a-1")
    await worker.answer_turn(await worker.next(), act.complete())
    await hub.clock.advance(timedelta(hours=1))
    await hub.start("a-2")
    await hub.start("b%1")
    later = stamp(START + timedelta(minutes=30))
    done = [pb.ORCHESTRATION_STATUS_COMPLETED]
    assert ids(await query(hub, runtimeStatus=done)) == ["a-1"]
    assert sorted(ids(await query(hub, createdTimeFrom=later))) == ["a-2", "b%1"]
    assert ids(await query(hub, createdTimeTo=later)) == ["a-1"]
    assert sorted(ids(await query(hub, instanceIdPrefix=text("a-")))) == ["a-1", "a-2"]
    assert ids(await query(hub, instanceIdPrefix=text("%"))) == []
    assert ids(await query(hub, runtimeStatus=[pb.ORCHESTRATION_STATUS_CANCELED])) == []


async def test_payloads_are_listed_only_when_asked_for(hub: Hub) -> None:
    await hub.start(input=text('"secret"'))
    (state,) = (await query(hub)).orchestrationState
    assert not state.HasField("input")
    (state,) = (await query(hub, fetchInputsAndOutputs=True)).orchestrationState
    assert state.input.value == '"secret"'


@pytest.mark.parametrize("token", ["x", "1", "-1:wf", "9" * 30 + ":wf", "²:wf"])
async def test_a_made_up_continuation_token_is_refused(hub: Hub, token: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        await query(hub, continuationToken=text(token))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_only_finished_instances_are_purged(hub: Hub, worker: Worker, act: Actions) -> None:
    await hub.start("done")
    await worker.answer_turn(await worker.next(), act.complete())
    await hub.start("running")
    everything = pb.PurgeInstancesRequest(purgeInstanceFilter=pb.PurgeInstanceFilter())
    response = await hub.call("PurgeInstances", everything)
    assert (response.deletedInstanceCount, response.isComplete.value) == (1, True)
    assert not (await hub.get("done")).exists
    assert (await hub.get("running")).exists


async def test_a_purge_takes_the_children_along_when_asked(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.child(1, child_id="kid"))
    await worker.answer_turn(await worker.next(), act.complete())
    await worker.answer_turn(await worker.next(), act.complete())
    request = pb.PurgeInstancesRequest(instanceId="wf", recursive=True)
    assert (await hub.call("PurgeInstances", request)).deletedInstanceCount == 2
    assert not (await hub.get("kid")).exists


async def test_an_entity_can_be_purged_by_its_id(hub: Hub, worker: Worker) -> None:
    signal = pb.SignalEntityRequest(instanceId="@counter@a", name="add")
    await hub.call("SignalEntity", signal)
    item = await worker.next()
    purge = pb.PurgeInstancesRequest(instanceId="@counter@a", isOrchestration=False)
    assert (await hub.call("PurgeInstances", purge)).deletedInstanceCount == 1
    ok = pb.OperationResult(success=pb.OperationResultSuccess())
    await worker.answer_entity(item, "1", ok)
    found = await hub.call("GetEntity", pb.GetEntityRequest(instanceId="@counter@a"))
    assert not found.exists


async def test_the_history_of_nobody_is_not_found(hub: Hub) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        await hub.history("none")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_task_hubs_know_nothing_of_each_other(scheduler: Scheduler) -> None:
    first, second = await scheduler.hub("one"), await scheduler.hub("two")
    await first.start("wf")
    await second.start("wf")
    worker = second.worker()
    await worker.connect()
    await worker.next()
    assert await worker.nothing_comes()
    assert ids(await query(await scheduler.hub("ONE"))) == ["wf"]


@pytest.mark.parametrize("name", ["../evil", "a/b", "a.b", "x" * 65, ".", "a b"])
async def test_a_hub_name_that_is_none_is_refused(scheduler: Scheduler, name: str) -> None:
    hub = await scheduler.hub("fine")
    hub.client.metadata = (("taskhub", name),)
    with pytest.raises(grpc.RpcError) as raised:
        await hub.get()
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_data_folder_keeps_itself_out_of_repositories(scheduler: Scheduler) -> None:
    assert (scheduler.folder / ".gitignore").read_text() == "*\n"


async def test_a_data_folder_has_one_scheduler(scheduler: Scheduler) -> None:
    with pytest.raises(StartupError, match="in use by another runtime"):
        async with running(scheduler.folder, scheduler.clock):
            pass


async def test_a_port_in_use_is_a_clear_error(scheduler: Scheduler, tmp_path: Path) -> None:
    port = int(scheduler.address.rpartition(":")[2])
    settings = SchedulerSettings(tmp_path / "other", grpc_port=port)
    with pytest.raises(StartupError, match=f"port {port} .* in use"):
        await serve(settings, ready=lambda facts: None, stop=asyncio.Event())


async def test_a_damaged_file_is_a_clear_error(tmp_path: Path, scheduler: Scheduler) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "default.taskhub.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StartupError, match="cannot be used"):
        async with running(folder, scheduler.clock):
            pass


async def test_a_file_of_a_newer_version_is_refused_untouched(
    tmp_path: Path, scheduler: Scheduler
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    path = folder / "default.taskhub.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StartupError, match="schema 99"):
        async with running(folder, scheduler.clock):
            pass


async def test_every_method_of_the_protocol_is_there_and_no_other(scheduler: Scheduler) -> None:
    methods = pb.DESCRIPTOR.services_by_name["TaskHubSidecarService"].methods_by_name
    async with grpc.aio.insecure_channel(scheduler.address) as channel:
        codes: dict[str, grpc.StatusCode] = {}
        for name in [*methods, "Invented"]:
            with pytest.raises(grpc.RpcError) as raised:
                await channel.unary_unary(f"/TaskHubSidecarService/{name}")(b"\xff")
            codes[name] = raised.value.code()
    assert codes.pop("Invented") is grpc.StatusCode.UNIMPLEMENTED
    assert set(codes.values()) == {grpc.StatusCode.INVALID_ARGUMENT}
    assert len(codes) == 29
