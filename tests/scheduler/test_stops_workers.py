"""SIGSTOP to a worker in the middle of its work: its work goes to others, or it goes on with it."""

import asyncio
import contextlib
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import StringValue

from tests.soak.executions import read

from .killing import ROOT, Victim
from .stopping import is_stopped
from .stopping_worker import PLACES

pytestmark = pytest.mark.crash

STATED_SECONDS = 10.0  # within which a worker that does not answer is taken for lost
SLACK_SECONDS = 15.0  # for a busy machine
INSTANCES = [f"wf{number}" for number in range(12)]


CONNECTED = r": worker \d+ connected"
LOST = r": the stream of worker \d+ ended"


def logged(victim: Victim, pattern: str) -> int:
    return len(re.findall(pattern, victim.data.with_suffix(".log").read_text()))


@contextlib.asynccontextmanager
async def worker(
    victim: Victim, folder: Path, place: str = "nowhere"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker until the end, and wait until it is connected."""
    before = logged(victim, CONNECTED)
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.scheduler.stopping_worker"],
        *[victim.address, str(folder), place],
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(SLACK_SECONDS):
            while logged(victim, CONNECTED) == before:
                await victim.once("Hello", Empty())
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def start_all(victim: Victim) -> None:
    for number, instance_id in enumerate(INSTANCES):
        await victim.start(instance_id, "flow", input=StringValue(value=f'"t{number % 3}"'))


async def check_outcomes(victim: Victim) -> None:
    """Wait for every instance, and look at what each was to return and each tally is to be."""
    async with asyncio.timeout(STATED_SECONDS + SLACK_SECONDS):
        outputs = [(await victim.finished(one)).output.value for one in INSTANCES]
    assert outputs == ["[1, 2, true]"] * len(INSTANCES)
    for number in range(3):
        assert await victim.state(f"@tally@t{number}") == "4"


async def check_others_go_on(victim: Victim, folder: Path, place: str) -> None:
    async with (
        victim.running(),
        worker(victim, folder, place) as stopped,
        worker(victim, folder),
    ):
        await start_all(victim)
        await is_stopped(stopped.pid)
        await check_outcomes(victim)
        stopped.send_signal(signal.SIGCONT)
        await check_outcomes(victim)
    runs = Counter(one.key for one in read(folder / "executions") if one.who == "stops in nowhere")
    assert set(runs.values()) == {1}, f"stopped in {place}: {runs}"


async def check_it_goes_on(victim: Victim, folder: Path, place: str) -> None:
    """Stop the only worker until it is taken for lost, and let it go on."""
    async with victim.running(), worker(victim, folder, place) as stopped:
        await start_all(victim)
        await is_stopped(stopped.pid)
        async with asyncio.timeout(STATED_SECONDS + SLACK_SECONDS):
            while not logged(victim, LOST):
                await victim.once("Hello", Empty())
        stopped.send_signal(signal.SIGCONT)
        await check_outcomes(victim)
    runs = Counter(one.key for one in read(folder / "executions"))
    assert len(runs) == 2 * len(INSTANCES)
    assert max(runs.values()) <= 2, f"stopped in {place}: {runs}"


@pytest.mark.parametrize("check", [check_others_go_on, check_it_goes_on])
async def test_the_work_of_a_stopped_worker_is_done_within_the_stated_time(
    tmp_path: Path, check
) -> None:
    async def at(place: str) -> None:
        folder = tmp_path / place
        folder.mkdir()
        async with Victim.create(folder / "data") as victim:
            await check(victim, folder, place)

    found = await asyncio.gather(*map(at, PLACES), return_exceptions=True)
    failed = {place: repr(error) for place, error in zip(PLACES, found, strict=True) if error}
    assert failed == {}
