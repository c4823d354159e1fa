"""A disk that takes no writes: a clear error, nothing lost, and it goes on when it can.

The scheduler's process is forbidden to write files (a size limit of 0), which fails as a full
disk does: in the middle of a transaction, at any moment, and until the limit is lifted.
"""

import asyncio
import contextlib
import os
import resource
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.clock import SystemClock, VirtualClock
from local_runtime.scheduler.client import SchedulerClient
from tests.ports import free_port

from .audit import faults
from .conftest import PATIENCE, Actions, Hub, Worker
from .killing import ROOT, Victim, answers
from .killing import Worker as FlowWorker
from .test_crashes import INSTANCES, chain

pytestmark = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="only Linux can limit another process"
)
FAILS = "does not take what is to be written"
GOES_ON = "work goes on"


class Disk:
    """A scheduler in a process of its own, and the room it has on its disk."""

    cwd = ROOT

    def __init__(
        self, process: asyncio.subprocess.Process, hub: Hub, command: list[str] | None = None
    ) -> None:
        self.process = process
        self.hub = hub
        self.command = command or []
        self.log: list[str] = []
        self.hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]

    def fill(self) -> None:
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (0, self.hard))

    def empty(self) -> None:
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (self.hard, self.hard))

    async def says(self, text: str) -> None:
        """Return once the scheduler's log has a new line with a text."""
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while text not in (line := (await self.process.stderr.readline()).decode()):
                assert line, "the scheduler has ended"
                self.log.append(line)
            self.log.append(line)

    async def refuses(self, instance_id: str = "refused") -> str:
        with pytest.raises(grpc.RpcError) as raised:
            await self.hub.start(instance_id)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        return raised.value.details()


@contextlib.asynccontextmanager
async def running(data: Path) -> AsyncIterator[Disk]:
    port = free_port()
    command = [sys.executable, "-m", "local_runtime", "scheduler", "--no-dashboard"]
    process = await asyncio.create_subprocess_exec(
        *command,
        *["--grpc-port", str(port), "--data", str(data)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "1000", "LOCAL_RUNTIME_LOG_LEVEL": "WARNING"},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with SchedulerClient.open(f"localhost:{port}", "default") as client:
            await client.stub.GetInstance(
                pb.GetInstanceRequest(instanceId="x"),
                metadata=client.metadata,
                wait_for_ready=True,
                timeout=30,
            )
            hub = Hub(client, VirtualClock(datetime(2026, 1, 1, tzinfo=UTC)))
            yield Disk(process, hub, [*command, "--grpc-port", "0", "--data", str(data)])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    async with running(tmp_path) as found:
        yield found


@pytest.fixture
async def worker(disk: Disk) -> Worker:
    found = disk.hub.worker()
    await found.connect()
    return found


async def test_what_is_not_written_is_refused_and_what_is_there_can_be_read(disk: Disk) -> None:
    await disk.hub.start("before")
    disk.fill()
    assert "free space" in await disk.refuses()
    assert "free space" in await disk.refuses()
    assert (await disk.hub.get("before")).exists
    assert not (await disk.hub.get("refused")).exists
    disk.empty()
    await disk.says(GOES_ON)
    await disk.hub.start("refused")


async def test_work_that_was_not_recorded_comes_again_when_it_can_be(
    disk: Disk, worker: Worker, act: Actions
) -> None:
    await disk.hub.start()
    await worker.answer_turn(await worker.next(), act.task(1))
    activity = await worker.next()
    disk.fill()
    with pytest.raises(grpc.RpcError) as raised:
        await worker.answer_activity(activity, "1")
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    with pytest.raises(TimeoutError):
        await worker.next(patience=1.5)  # what could not be recorded is not begun
    disk.empty()
    await worker.answer_activity(await worker.next(), "1")
    await worker.answer_turn(await worker.next(), act.complete())
    assert (await disk.hub.wait()).output.value == '"done"'


async def test_the_log_says_once_that_it_fails_and_once_that_it_goes_on(
    disk: Disk, worker: Worker, act: Actions
) -> None:
    await disk.hub.start()
    turn = await worker.next()
    due = SystemClock().now() + timedelta(seconds=0.5)
    await worker.answer_turn(turn, act.timer(1, due))
    disk.fill()
    for _ in range(20):
        await disk.refuses()
    assert await worker.nothing_comes()
    disk.empty()
    await disk.says(GOES_ON)
    fired = await worker.next()
    assert fired.orchestratorRequest.newEvents[1].timerFired.timerId == 1
    told = [line for line in disk.log if "ERROR" in line or "WARNING" in line or FAILS in line]
    assert (len(told), FAILS in told[0]) == (2, True)
    assert not any("Traceback" in line for line in disk.log)


async def test_a_new_task_hub_waits_for_the_disk_too(disk: Disk) -> None:
    disk.fill()
    disk.hub.client.metadata = (("taskhub", "another"),)
    assert "cannot be used" in await disk.refuses()
    disk.empty()
    await disk.hub.start("taken")
    assert (await disk.hub.get("taken")).exists


async def test_no_step_is_lost_or_repeated_however_often_the_disk_fails(
    tmp_path: Path, disk: Disk
) -> None:
    client = disk.hub.client
    scheduler = Victim(tmp_path, 0, client)
    async with FlowWorker(client, {"chain": chain, "flow": chain}).working() as worker:
        starts = [scheduler.start(name, "chain") for name in INSTANCES]
        starting = asyncio.gather(*starts)
        for _ in range(3):
            disk.fill()
            await disk.refuses()
            await disk.says(FAILS)
            disk.empty()
            await disk.says(GOES_ON)
            await disk.hub.start(f"more{len(disk.log)}")
        await asyncio.wait_for(starting, 30)
        for name in INSTANCES:
            assert (await scheduler.finished(name)).output.value == "r1,r2,r3"
            events = await scheduler.history(name)
            done = [done.taskScheduledId for done in answers(events, "taskCompleted")]
            assert sorted(done) == [1, 2, 3]
    assert worker.repeated == []
    disk.process.kill()
    await disk.process.wait()
    assert faults(tmp_path / "default.taskhub.db") == []
