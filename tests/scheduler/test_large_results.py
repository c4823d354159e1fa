"""A result that the disk has no room for: what brought it waits for room, and never runs in turns.

The scheduler may write files of a few MiB: small writes succeed, and a large one does not.
"""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.clock import VirtualClock
from local_runtime.scheduler.service.hub import new_id
from local_runtime.scheduler.storage import shortage
from local_runtime.scheduler.storage.database import open_writer
from local_runtime.scheduler.storage.transaction import Transaction
from local_runtime.scheduler.storage.writer import StorageUnavailable, Writer

from .conftest import Actions, Worker, text
from .test_disk import FAILS, GOES_ON, Disk, running

pytestmark = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="only Linux can limit another process"
)
ROOM = 6 * 1024 * 1024
LARGE = '"' + "x" * 2 * ROOM + '"'


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    async with running(tmp_path / "data") as found:
        yield found


@pytest.fixture
async def worker(disk: Disk) -> Worker:
    found = disk.hub.worker()
    await found.connect()
    return found


async def refused(disk: Disk, worker: Worker, act: Actions, instance_id: str = "wf") -> None:
    """Have one activity bring a result that does not fit."""
    await disk.hub.start(instance_id)
    await worker.answer_turn(await worker.next(), act.task(1))
    activity = await worker.next()
    resource.prlimit(disk.process.pid, resource.RLIMIT_FSIZE, (ROOM, disk.hard))
    with pytest.raises(grpc.RpcError) as raised:
        await worker.answer_activity(activity, LARGE)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_work_whose_result_does_not_fit_comes_again_when_there_is_room_and_only_then(
    disk: Disk, worker: Worker, act: Actions
) -> None:
    await refused(disk, worker, act)
    await disk.says("takes small writes")
    with pytest.raises(TimeoutError):
        await worker.next(patience=4)
    disk.empty()
    await worker.answer_activity(await worker.next(), LARGE)
    await worker.answer_turn(await worker.next(), act.complete())
    assert (await disk.hub.wait()).output.value == '"done"'
    assert await worker.nothing_comes()


async def test_meanwhile_small_things_are_accepted_and_begin_when_there_is_room(
    disk: Disk, worker: Worker, act: Actions
) -> None:
    await refused(disk, worker, act)
    await disk.says("takes small writes")
    await disk.hub.start("other")
    with pytest.raises(TimeoutError):
        await worker.next(patience=2)
    disk.empty()
    await disk.says(GOES_ON)
    came = [await worker.next(), await worker.next()]
    assert sorted(item.WhichOneof("request") for item in came) == [
        "activityRequest",
        "orchestratorRequest",
    ]


async def test_the_work_of_an_instance_that_was_terminated_meanwhile_does_not_come_again(
    disk: Disk, worker: Worker, act: Actions
) -> None:
    await refused(disk, worker, act)
    await disk.says("takes small writes")
    await disk.hub.call("TerminateInstance", pb.TerminateRequest(instanceId="wf"))
    disk.empty()
    await disk.says(GOES_ON)
    assert await worker.nothing_comes()
    assert await disk.hub.status() == "TERMINATED"


async def test_a_client_s_large_request_is_refused_and_stops_nobody(
    disk: Disk, worker: Worker, act: Actions
) -> None:
    resource.prlimit(disk.process.pid, resource.RLIMIT_FSIZE, (ROOM, disk.hard))
    with pytest.raises(grpc.RpcError) as raised:
        await disk.hub.start("large", input=text(LARGE))
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    await disk.says(GOES_ON)
    await disk.hub.start("small")
    await worker.answer_turn(await worker.next(), act.complete())
    assert (await disk.hub.wait("small")).output.value == '"done"'


async def test_the_log_does_not_grow_while_there_is_no_room(
    tmp_path: Path, disk: Disk, worker: Worker, act: Actions
) -> None:
    await refused(disk, worker, act)
    await disk.says("takes small writes")
    sizes = set[int]()
    for number in range(30):
        await disk.hub.start(f"s{number}")
        sizes.add((tmp_path / "data" / "default.taskhub.db-wal").stat().st_size)
        await asyncio.sleep(0.1)  # over three trials
    assert max(sizes) <= ROOM
    assert not any(FAILS in line for line in disk.log[-1:])


def insert(size: int):
    def step(tx: Transaction) -> None:
        tx.connection.execute("INSERT INTO kept VALUES (?)", (b"x" * size,))

    return step


async def until(done) -> None:
    async with asyncio.timeout(15):
        while not done():  # noqa: ASYNC110 - there is nothing to wait for but the writer's trials
            await asyncio.sleep(0.05)


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[tuple[Writer, sqlite3.Connection]]:
    """A writer whose file may have 1000 pages, and its connection."""
    connection = open_writer(tmp_path / "hub.db", "relaxed")
    connection.execute("CREATE TABLE kept (bytes BLOB)")
    connection.execute("PRAGMA max_page_count = 1000")
    writer = Writer(connection, VirtualClock(datetime(2026, 1, 1, tzinfo=UTC)), new_id)
    yield writer, connection
    writer.close()


async def test_small_steps_of_a_group_are_written_though_a_large_one_is_not(small) -> None:
    writer, connection = small
    steps = [*[insert(1)] * 7, insert(2 * ROOM)]
    results = await asyncio.gather(*map(writer.submit, steps), return_exceptions=True)
    assert results[:-1] == [None] * 7
    assert isinstance(results[-1], StorageUnavailable)
    assert connection.execute("SELECT count(*) FROM kept").fetchone() == (7,)


async def test_what_never_fits_stops_others_for_a_while_only(
    small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortage, "STOP_SECONDS", 2.5)
    writer, connection = small
    come_again: list[str] = []
    with pytest.raises(StorageUnavailable) as raised:
        await writer.submit(insert(2 * ROOM))
    assert writer.when_room(raised.value, lambda: come_again.append("large"))
    await writer.when_available()
    await writer.submit(insert(10))
    assert not writer.available
    await until(lambda: writer.available)
    assert come_again == []
    connection.execute("PRAGMA max_page_count = 1000000")
    await until(lambda: come_again)
    await writer.submit(insert(2 * ROOM))
    assert come_again == ["large"]
