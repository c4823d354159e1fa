"""A worker that hangs, with its connection open: others get its work, and the log says so."""

import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.clock import SystemClock
from local_runtime.scheduler.dispatch import dispatcher, workers
from local_runtime.scheduler.service import worker_calls
from local_runtime.scheduler.service.server import KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS

from .conftest import PATIENCE, Actions, Hub, Worker, kinds, running
from .sdk import Sdk, connected

ROOT = Path(__file__).parents[2]
# One that takes each activity to the file whose name it is given, and a chain of them.
PROGRAM = """
import sys, time
from durabletask import worker

def do_step(_, given):
    with open(sys.argv[2], "a") as marks:
        marks.write(f"{given}\\n")
    return given + 1

def chain(context, number):
    for _ in range(4):
        number = yield context.call_activity("do_step", input=number)
    return number

with worker.TaskHubGrpcWorker(host_address=sys.argv[1]) as found:
    found.add_activity(do_step)
    found.add_orchestrator(chain)
    found.start()
    print("ready", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, and be patient for a moment only."""
    monkeypatch.setattr(worker_calls, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(workers, "SILENT_SECONDS", 0.1)


async def silent(caplog: pytest.LogCaptureFixture) -> None:
    """Wait until the first worker counts as silent."""
    told = re.compile(r"worker 1 \(.*\) has not answered for")
    async with asyncio.timeout(PATIENCE):
        while not told.search(caplog.text):  # noqa: ASYNC110 - a line of the log
            await asyncio.sleep(0.01)


async def test_a_worker_that_keeps_a_turn_gets_no_new_work_while_another_is_there(
    quick: None, hub: Hub, worker: Worker, act: Actions, caplog: pytest.LogCaptureFixture
) -> None:
    await hub.start("kept")
    await worker.next()
    second = hub.worker()
    await second.connect()
    await silent(caplog)
    for number in range(4):
        await hub.start(f"wf{number}")
        item = await second.next()
        assert item.orchestratorRequest.instanceId == f"wf{number}"
        await second.answer_turn(item, act.complete())


async def test_a_turn_that_is_kept_for_long_goes_to_another_worker(
    quick: None, hub: Hub, worker: Worker, act: Actions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "TURN_SECONDS", 0.3)
    await hub.start("kept")
    kept = await worker.next()
    second = hub.worker()
    await second.connect()
    item = await second.next()
    assert item.orchestratorRequest.instanceId == "kept"
    await worker.answer_turn(kept, act.fail(pb.TaskFailureDetails(errorType="late")))
    await second.answer_turn(item, act.complete())
    assert (await hub.wait("kept")).output.value == '"done"'


async def test_the_only_worker_keeps_its_work_and_gets_more_however_slow_it_is(
    quick: None, hub: Hub, worker: Worker, act: Actions, caplog: pytest.LogCaptureFixture
) -> None:
    await hub.start("kept")
    kept = await worker.next()
    await silent(caplog)
    await hub.start("more")
    assert (await worker.next()).orchestratorRequest.instanceId == "more"
    await worker.answer_turn(kept, act.complete())
    assert (await hub.wait("kept")).output.value == '"done"'


async def test_a_worker_that_answers_again_gets_work_again(
    quick: None, hub: Hub, worker: Worker, act: Actions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await hub.start("kept")
    kept = await worker.next()
    second = hub.worker()
    await second.connect()
    await silent(caplog)
    await worker.answer_turn(kept, act.complete())
    assert "worker 1 (local-runtime) answers again" in caplog.text
    await second.lose()
    await hub.start("b")
    assert (await worker.next()).orchestratorRequest.instanceId == "b"


async def test_an_activity_may_take_its_time_and_its_worker_is_not_silent(
    quick: None, hub: Hub, worker: Worker, act: Actions, caplog: pytest.LogCaptureFixture
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.task(1))
    item = await worker.next()
    second = hub.worker()
    second.request.maxConcurrentActivityWorkItems = 1
    await second.connect()
    assert await second.nothing_comes()
    assert "has not answered" not in caplog.text
    await worker.answer_activity(item, "1")
    done = [asyncio.create_task(each.next()) for each in (worker, second)]
    found, left = await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    assert kinds(list(found.pop().result().orchestratorRequest.newEvents))[1] == "taskCompleted"
    for each in left:
        each.cancel()


# -- processes that are stopped -------------------------------------------------------------------


class Process:
    """A worker of the SDK in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, address: str, marks: Path) -> "Process":
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", PROGRAM, address, str(marks)],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=ROOT,
        )
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        return cls(process)

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    async def end(self) -> None:
        self.send(signal.SIGKILL)
        await self._process.wait()


@pytest.fixture
async def sdk(tmp_path: Path) -> AsyncIterator[Sdk]:
    async with (
        running(tmp_path / "data", SystemClock()) as address,
        connected(address) as found,
    ):
        yield found


async def workers_of(sdk: Sdk, count: int) -> None:
    """Wait until so many workers are connected, by letting each of them do something."""
    for _ in range(count):
        await sdk.run(_chain, 0)


@pytest.mark.crash
async def test_all_instances_end_though_one_of_two_workers_is_stopped(
    sdk: Sdk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    marks = tmp_path / "marks"
    first = await Process.start(sdk.address, marks)
    second = await Process.start(sdk.address, marks)
    await workers_of(sdk, 2)
    first.send(signal.SIGSTOP)
    try:
        ids = [await sdk.client.schedule_new_orchestration("chain", input=0) for _ in range(12)]
        stated = (KEEPALIVE_MS + KEEPALIVE_TIMEOUT_MS) / 1000
        async with asyncio.timeout(stated + 20):  # the second worker's own time, on a busy machine
            for instance_id in ids:
                state = await sdk.client.wait_for_orchestration_completion(instance_id, timeout=60)
                assert state.serialized_output == "4"
    finally:
        first.send(signal.SIGCONT)
        await first.end()
        await second.end()


@pytest.mark.crash
async def test_a_stopped_client_loses_its_connection_within_the_stated_time(
    sdk: Sdk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    only = await Process.start(sdk.address, tmp_path / "marks")
    await workers_of(sdk, 1)
    only.send(signal.SIGSTOP)
    try:
        async with asyncio.timeout((KEEPALIVE_MS + KEEPALIVE_TIMEOUT_MS) / 1000 + PATIENCE):
            while "the stream of worker 1 ended" not in caplog.text:  # noqa: ASYNC110 - the log
                await asyncio.sleep(0.1)
        only.send(signal.SIGCONT)
        # It notices, comes back, and goes on.
        assert (await sdk.run(_chain, 1)).serialized_output == "5"
    finally:
        await only.end()


def _chain() -> None:
    """The name of an orchestrator, as the client takes it."""


_chain.__name__ = "chain"
