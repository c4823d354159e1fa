"""SIGSTOP to a host while it runs an activity, completes one, or pulls work: all goes on."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from .proxied import World

pytestmark = pytest.mark.crash

STEPS = 2
STOPPED_SECONDS = 12.0  # longer than a worker that does not answer keeps its work


def stop_at(world: World, method: str, nth: int) -> asyncio.Event:
    """Stop the host when a call of it reaches the scheduler's side; set when it has been."""
    stopped = asyncio.Event()

    def look(called: str, request: bytes) -> None:
        if world.rpc.calls[method] == nth and called == method and not stopped.is_set():
            world.host.send(signal.SIGSTOP)
            stopped.set()

    world.rpc.on_call = look
    return stopped


async def go_on_later(world: World, stopped: asyncio.Event) -> None:
    await asyncio.wait_for(stopped.wait(), 20)
    with world.trouble("host stopped"):
        await asyncio.sleep(STOPPED_SECONDS)
        world.host.send(signal.SIGCONT)


async def check(world: World, ids: list[str]) -> None:
    outputs = await world.outputs(ids, 30)
    assert outputs == {one: list(range(1, STEPS + 1)) for one in ids}
    verdict = world.verdict(ids)
    assert (verdict.faults, verdict.repeated) == ([], 0)
    assert verdict.tasks == STEPS * len(ids)


@pytest.mark.parametrize("method", ["CompleteActivityTask", "CompleteOrchestratorTask"])
async def test_a_host_that_is_stopped_while_it_completes_goes_on(
    tmp_path: Path, method: str
) -> None:
    async with World.create(tmp_path) as world:
        stopped = stop_at(world, method, 2)
        going_on = asyncio.create_task(go_on_later(world, stopped))
        ids = [f"wf{number}" for number in range(6)]
        await asyncio.gather(*[world.start(one, STEPS) for one in ids])
        await going_on
        await check(world, ids)


async def test_a_host_that_is_stopped_while_it_pulls_goes_on(tmp_path: Path) -> None:
    async with World.create(tmp_path) as world:
        await world.start("first", STEPS)
        stopped = stop_at(world, "GetWorkItems", world.rpc.calls["GetWorkItems"] + 1)
        going_on = asyncio.create_task(go_on_later(world, stopped))
        world.tcp.cut()
        await going_on
        await world.start("second", STEPS)
        await check(world, ["first", "second"])


async def test_a_host_that_is_stopped_in_an_activity_goes_on(tmp_path: Path) -> None:
    mark = tmp_path / "stopped"
    async with World.create(tmp_path, STOP_ONCE=str(mark)) as world:
        await world.start("wf", STEPS)
        stopped = asyncio.Event()

        async def look() -> None:
            while True:
                if mark.exists():
                    stopped.set()
                    return
                await asyncio.sleep(0.05)  # the app says so by a file

        looking = asyncio.create_task(look())
        await go_on_later(world, stopped)
        await looking
        await check(world, ["wf"])


async def test_the_work_of_a_stopped_host_process_is_done_by_the_other(tmp_path: Path) -> None:
    world_of_two = World.create(tmp_path, "--workers", 2, directly=True, ACTIVITY_SECONDS="1")
    async with world_of_two as world:
        ids = [f"wf{number}" for number in range(12)]
        await asyncio.gather(*[world.start(one, STEPS) for one in ids])
        processes = world.host.children().items()
        (second,) = [pid for pid, command in processes if "--listen-fd" not in command]
        with world.trouble("host stopped"):
            os.kill(second, signal.SIGSTOP)
            await world.outputs(ids, 30)
            os.kill(second, signal.SIGCONT)
        await check(world, ids)
