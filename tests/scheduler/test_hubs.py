"""Task hubs are made and deleted: with everything in them, and without harm to others."""

import asyncio
from datetime import timedelta

import grpc.aio
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from .audit import faults
from .conftest import PATIENCE, START, Actions, Hub, Scheduler, Worker

DELETE = pb.DeleteTaskHubRequest()
FILE = "default.taskhub.db"


def files(scheduler: Scheduler) -> set[str]:
    return {path.name for path in scheduler.folder.glob("*.taskhub.db*")}


async def test_a_deleted_hub_leaves_nothing_behind_and_begins_empty(
    scheduler: Scheduler, hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.timer(1, START + timedelta(seconds=1)))
    await hub.call("DeleteTaskHub", DELETE)
    assert files(scheduler) == set()
    assert not (await hub.get()).exists
    await hub.clock.advance(timedelta(seconds=2))
    await hub.start()
    again = hub.worker()
    await again.connect()
    assert len((await again.next()).orchestratorRequest.pastEvents) == 0


HALF_MADE = [f"{FILE}{suffix}" for suffix in (".new", ".new-journal", ".new-wal", ".new-shm")]


async def test_what_a_kill_left_of_making_a_hub_goes_at_the_next_start(
    scheduler: Scheduler,
) -> None:
    await scheduler.stop()
    for name in HALF_MADE:
        (scheduler.folder / f"other-{name}").write_bytes(b"half")
    await scheduler.start()
    assert not any("other-" in name for name in files(scheduler))


async def test_what_a_kill_left_of_making_a_hub_is_deleted_with_it(
    scheduler: Scheduler, hub: Hub
) -> None:
    await hub.start()
    for name in HALF_MADE:
        (scheduler.folder / name).write_bytes(b"half")
    await hub.call("DeleteTaskHub", DELETE)
    assert files(scheduler) == set()


async def test_workers_and_clients_of_a_deleted_hub_are_sent_away(hub: Hub) -> None:
    await hub.start()
    stream = hub.client.stub.GetWorkItems(pb.GetWorkItemsRequest(), metadata=hub.client.metadata)
    item = await stream.read()
    while not item.HasField("orchestratorRequest"):
        item = await stream.read()
    waiting = asyncio.create_task(hub.wait())
    await asyncio.sleep(0)
    await hub.status()  # the wait, which was sent before, has begun
    await hub.call("DeleteTaskHub", DELETE)
    assert (await asyncio.wait_for(waiting, PATIENCE)).instanceId == ""
    async with asyncio.timeout(PATIENCE):
        while (item := await stream.read()) is not grpc.aio.EOF:
            assert item.HasField("healthPing")


async def test_work_of_a_deleted_hub_is_none_of_the_next(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    old = await worker.next()
    await hub.call("DeleteTaskHub", DELETE)
    await hub.start()
    await worker.answer_turn(old, act.complete())
    assert await hub.status() == "PENDING"


async def test_a_hub_can_be_deleted_in_the_midst_of_its_use(
    scheduler: Scheduler, hub: Hub, worker: Worker
) -> None:
    signal = pb.SignalEntityRequest(instanceId="@a@k", name="add")
    calls = [
        *[hub.start(f"wf{number}") for number in range(40)],
        *[hub.call("DeleteTaskHub", DELETE) for _ in range(3)],
        *[hub.call("QueryInstances", pb.QueryInstancesRequest()) for _ in range(20)],
        *[hub.call("SignalEntity", signal) for _ in range(20)],
    ]
    results = await asyncio.gather(*calls[::2], *calls[1::2], return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    assert {error.code() for error in errors} <= {grpc.StatusCode.UNAVAILABLE}
    await hub.start("after")
    assert faults(scheduler.folder / FILE) == []


async def test_other_hubs_know_nothing_of_a_deletion(scheduler: Scheduler, hub: Hub) -> None:
    other = await scheduler.hub("other")
    await other.start()
    await hub.start()
    await hub.call("DeleteTaskHub", DELETE)
    assert (await other.get()).exists


async def test_a_hub_that_never_was_is_deleted_already(scheduler: Scheduler) -> None:
    await (await scheduler.hub("never")).call("DeleteTaskHub", DELETE)
    assert files(scheduler) == set()


async def test_creating_a_hub_keeps_what_is_there_unless_it_shall_begin_anew(
    scheduler: Scheduler, hub: Hub
) -> None:
    await hub.call("CreateTaskHub", pb.CreateTaskHubRequest())
    assert FILE in files(scheduler)
    await hub.start()
    await hub.call("CreateTaskHub", pb.CreateTaskHubRequest())
    assert (await hub.get()).exists
    await hub.call("CreateTaskHub", pb.CreateTaskHubRequest(recreateIfExists=True))
    assert not (await hub.get()).exists


@pytest.mark.parametrize("method", ["CreateTaskHub", "DeleteTaskHub"])
async def test_a_hub_name_that_is_a_path_is_refused(scheduler: Scheduler, method: str) -> None:
    outside = scheduler.folder.parent / "x.taskhub.db"
    outside.touch()
    hub = await scheduler.hub("fine")
    hub.client.metadata = (("taskhub", "../x"),)
    with pytest.raises(grpc.RpcError) as raised:
        await hub.call(method, getattr(pb, f"{method}Request")())
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert outside.exists()


async def test_what_a_kill_has_left_half_done_in_the_folder_is_put_right(
    scheduler: Scheduler, hub: Hub
) -> None:
    await hub.start()
    kept = files(scheduler)
    await scheduler.stop()
    (scheduler.folder / ".gitignore").write_text("")
    for suffix in ("-wal", "-shm"):
        (scheduler.folder / f"deleted.taskhub.db{suffix}").write_bytes(b"left")
    await scheduler.start()
    assert files(scheduler) - {f"{FILE}-wal", f"{FILE}-shm"} == {FILE} <= kept
    assert (scheduler.folder / ".gitignore").read_text() == "*\n"


async def test_history_without_a_hub_is_that_of_the_one_hub_with_the_instance(
    scheduler: Scheduler, hub: Hub, act: Actions
) -> None:
    other = await scheduler.hub("other")
    await other.start("alone")
    worker = other.worker()
    await worker.connect()
    await worker.answer_turn(await worker.next(), act.complete())
    nameless = await scheduler.hub()
    nameless.client.metadata = ()
    assert await nameless.history("alone") == await other.history("alone") != []

    await hub.start("alone")  # has no history yet

    assert await nameless.history("alone") == []
    with pytest.raises(grpc.RpcError) as raised:
        await nameless.history("nobody")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
