"""Data that vanishes under a running scheduler: noticed at once, said to a person, and the end."""

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from .test_disk import Disk, running

NOTICED = "Nothing is acknowledged any more"
SECOND = 3.0  # of a machine that does much else at the same time


def delete(data: Path) -> None:
    shutil.rmtree(data)


def move(data: Path) -> None:
    data.rename(data.with_name("moved"))


def replace(data: Path) -> None:
    move(data)
    data.mkdir()


def restore(data: Path) -> None:
    move(data)
    shutil.copytree(data.with_name("moved"), data)


def copy_of(file: Path) -> Path:
    """What `sqlite3 FILE .backup` makes."""
    found = file.with_name("copy")
    with sqlite3.connect(file) as here, sqlite3.connect(found) as there:
        here.backup(there)
    here.close()
    there.close()
    return found


def put_over(data: Path) -> None:
    file = data / "default.taskhub.db"
    copy_of(file).replace(file)


def write_over(data: Path) -> None:
    file = data / "default.taskhub.db"
    file.write_bytes(copy_of(file).read_bytes())


def without(name: str) -> Callable[[Path], None]:
    def unlink(data: Path) -> None:
        (data / name).unlink()

    unlink.__name__ = f"without_{name}"
    return unlink


def cut_off(data: Path) -> None:
    os.truncate(data / "default.taskhub.db-wal", 0)


FILE = "default.taskhub.db"
KEEPING = (move, without(f"{FILE}-wal"), without(f"{FILE}-shm"), without("scheduler.lock"))
"""After these all that was acknowledged is still there, in the folder or where it was moved to."""
LOSING = (delete, replace, restore, put_over, write_over, cut_off, without(FILE))


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    async with running(tmp_path / "data") as found:
        yield found


async def start_many(disk: Disk, began: asyncio.Event) -> list[str]:
    """Start instances until one is refused; return those that were acknowledged."""
    taken: list[str] = []
    code = None
    while code is None:
        try:
            taken.append(await disk.hub.start(f"i{len(taken)}"))
        except grpc.RpcError as error:
            code = error.code()
        began.set()
    assert code is grpc.StatusCode.UNAVAILABLE
    return taken


@pytest.mark.parametrize("fault", [*KEEPING, *LOSING], ids=lambda fault: fault.__name__)
async def test_it_is_noticed_within_a_second_and_the_scheduler_ends(
    tmp_path: Path, disk: Disk, fault: Callable[[Path], None]
) -> None:
    await disk.hub.start("before")
    fault(tmp_path / "data")
    async with asyncio.timeout(SECOND):
        await disk.says(NOTICED)
    assert "Put back what is missing" in disk.log[-1]
    assert "UNAVAILABLE" in str(await start_refused(disk))
    async with asyncio.timeout(5):
        assert await disk.process.wait() == 1
    assert (await disk.process.stderr.read()).decode().count("Put back what is missing") == 1


async def start_refused(disk: Disk) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        await disk.hub.start("after")
    return raised.value


@pytest.mark.parametrize("fault", KEEPING, ids=lambda fault: fault.__name__)
async def test_what_was_acknowledged_until_then_is_there_afterwards(
    tmp_path: Path, disk: Disk, fault: Callable[[Path], None]
) -> None:
    began = asyncio.Event()
    starting = asyncio.create_task(start_many(disk, began))
    await began.wait()
    fault(tmp_path / "data")
    async with asyncio.timeout(10):
        taken = await starting
        await disk.process.wait()
    left = next(path for path in (tmp_path / "data", tmp_path / "moved") if path.exists())
    async with running(left) as again:
        for name in taken:
            assert (await again.hub.get(name)).exists, f"{name} of {len(taken)}"


@pytest.mark.parametrize("fault", LOSING, ids=lambda fault: fault.__name__)
async def test_nothing_is_acknowledged_once_it_could_be_noticed(
    tmp_path: Path, disk: Disk, fault: Callable[[Path], None]
) -> None:
    await disk.hub.start("before")
    began = asyncio.Event()
    starting = asyncio.create_task(start_many(disk, began))
    await began.wait()
    fault(tmp_path / "data")
    at = asyncio.get_running_loop().time()
    async with asyncio.timeout(10):
        await starting
    assert asyncio.get_running_loop().time() - at < SECOND


@pytest.mark.parametrize("fault", [move, replace, without("scheduler.lock")])
async def test_two_schedulers_never_share_a_place_or_a_folder(
    tmp_path: Path, disk: Disk, fault: Callable[[Path], None]
) -> None:
    disk.process.send_signal(signal.SIGSTOP)  # so that it cannot notice before the second is there
    try:
        fault(tmp_path / "data")
        assert "in use by another runtime" in await refused(disk, tmp_path / "data")
        if (tmp_path / "moved").exists():
            assert "in use by another runtime" in await refused(disk, tmp_path / "moved")
    finally:
        disk.process.send_signal(signal.SIGCONT)
    async with asyncio.timeout(5):
        assert await disk.process.wait() == 1


async def refused(disk: Disk, folder: Path) -> str:
    """What a scheduler says that does not start on a folder."""
    process = await asyncio.create_subprocess_exec(
        *disk.command[:-1], str(folder), cwd=disk.cwd, stderr=asyncio.subprocess.PIPE
    )
    try:
        (_, told) = await asyncio.wait_for(process.communicate(), 20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert process.returncode == 1
    return " ".join(told.decode().split())


@pytest.mark.parametrize("fault", [put_over, write_over])
async def test_a_copy_that_was_put_in_place_does_not_get_the_log_of_the_other(
    tmp_path: Path, disk: Disk, fault: Callable[[Path], None]
) -> None:
    await disk.hub.start("in-the-copy")
    fault(tmp_path / "data")
    async with asyncio.timeout(5):
        await disk.process.wait()
    left = tmp_path / "data" / f"{FILE}-wal.left"
    assert left.exists()
    assert "in its place on purpose, delete default" in await refused(disk, tmp_path / "data")
    left.unlink()
    async with running(tmp_path / "data") as again:
        assert (await again.hub.get("in-the-copy")).exists


async def test_who_waits_is_told_and_so_are_workers(tmp_path: Path, disk: Disk) -> None:
    await disk.hub.start("before")
    waiting = asyncio.create_task(disk.hub.wait("before"))
    worker = disk.hub.worker()
    await worker.connect()
    await worker.next()
    delete(tmp_path / "data")
    with pytest.raises(grpc.RpcError) as raised:
        await waiting
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "was deleted or moved" in raised.value.details()
    with pytest.raises(grpc.RpcError) as raised:
        await worker.connect()
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_hub_that_is_deleted_by_a_call_is_not_missed(disk: Disk) -> None:
    await disk.hub.start("before")
    await disk.hub.call("DeleteTaskHub", pb.DeleteTaskHubRequest())
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(disk.process.wait(), SECOND)
    assert disk.process.returncode is None
    assert not (await disk.hub.get("before")).exists


async def test_the_file_of_one_hub_of_several_is_missed(tmp_path: Path, disk: Disk) -> None:
    await disk.hub.start("before")
    disk.hub.client.metadata = (("taskhub", "another"),)
    await disk.hub.start("there")
    (tmp_path / "data" / "another.taskhub.db").unlink()
    await disk.says("another.taskhub.db was deleted or moved")
    async with asyncio.timeout(5):
        assert await disk.process.wait() == 1
