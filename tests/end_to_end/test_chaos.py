"""Host and scheduler are killed, stopped, cut off and lied to: nothing is lost or repeated.

A recorded step is one whose result is in the history; what ran twice before has its reason.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest

from tests.rpc_proxy import Held, late, lost, refused, twice

from .proxied import World

pytestmark = pytest.mark.crash

COMPLETIONS = ("CompleteActivityTask", "CompleteOrchestratorTask")
CODES = ("RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN")
STEPS = 3


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World.create(tmp_path, ACTIVITY_SECONDS="0.05") as found:
        yield found


async def check(world: World, ids: list[str], patience: float = 45) -> dict[str, int]:
    """Wait until all is done as it has to be; how many runs were beyond one per task, and why."""
    outputs = await world.outputs(ids, patience)
    assert outputs == {one: list(range(1, STEPS + 1)) for one in ids}
    verdict = world.verdict(ids)
    assert verdict.faults == []
    assert (verdict.tasks, verdict.repeated) == (STEPS * len(ids), 0)
    return dict(verdict.beyond_one)


async def start_all(world: World, count: int) -> list[str]:
    ids = [f"wf{number}" for number in range(count)]
    await asyncio.gather(*[world.start(one, STEPS) for one in ids])
    return ids


@pytest.mark.parametrize("code", CODES)
async def test_a_completion_that_is_refused_for_now_is_repeated(world: World, code: str) -> None:
    for method in COMPLETIONS:
        world.rpc.meddle(method, refused(grpc.StatusCode[code]), "refused", times=2)
    assert await check(world, await start_all(world, 4)) == {}
    assert world.rpc.did == {f"{method} refused": 2 for method in COMPLETIONS}


@pytest.mark.parametrize("meddling", [lost, twice, late(3)], ids=["lost", "twice", "late"])
async def test_a_completion_that_is_lost_doubled_or_delayed_counts_once(
    world: World, meddling: Callable[..., Awaitable[bytes]]
) -> None:
    for method in COMPLETIONS:
        world.rpc.meddle(method, meddling, "meddled", times=3)
    assert await check(world, await start_all(world, 6)) == {}


async def test_a_result_that_comes_after_its_lease_has_ended_is_taken(world: World) -> None:
    world.rpc.meddle("CompleteActivityTask", held := Held())
    with world.trouble("stream cut"):
        ids = await start_all(world, 1)
        await asyncio.wait_for(held.arrived.wait(), 20)
        pulls_again = asyncio.Event()
        world.rpc.on_call = lambda method, _: method == "GetWorkItems" and pulls_again.set()
        world.rpc.cut_streams()
        await asyncio.wait_for(pulls_again.wait(), 20)
        held.let_go.set()
    assert sum((await check(world, ids)).values()) <= 1


async def test_connections_that_are_cut_again_and_again_lose_nothing(world: World) -> None:
    with world.trouble("connection cut"):
        starting = asyncio.create_task(start_all(world, 20))
        for cut_after in (2_000, 5_000, 9_000, None):
            world.tcp.cut_after = cut_after
            world.tcp.cut()
            await asyncio.sleep(1)
        ids = await starting
    await check(world, ids)


@pytest.mark.parametrize("way", ["up", "down"])
async def test_a_connection_that_is_half_open_for_a_while_loses_nothing(
    world: World, way: str
) -> None:
    with world.trouble("connection stalled"):
        ids = await start_all(world, 8)
        world.tcp.stall(way)
        await asyncio.sleep(13)  # longer than a silent connection is taken for a living one
        world.tcp.flow()
    await check(world, ids)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [1, 2])
async def test_killed_and_stopped_at_random_behind_a_bad_connection(
    world: World, seed: int
) -> None:
    chance = random.Random(seed)
    for method in COMPLETIONS:
        world.rpc.meddle_at_random(method, 0.05, lost, "lost")
        world.rpc.meddle_at_random(method, 0.05, twice, "twice")
        world.rpc.meddle_at_random(
            method, 0.05, refused(grpc.StatusCode.RESOURCE_EXHAUSTED), "refused"
        )
    world.tcp.latency, world.tcp.jitter = 0.005, 0.03
    with world.trouble("connection bad"):
        starting = asyncio.create_task(start_all(world, 60))
        deeds = [
            world.kill_host,
            world.kill_scheduler,
            lambda: world.stop(world.host, 2),
            lambda: world.stop(world.scheduler, 2),
            lambda: asyncio.gather(world.kill_host(), world.kill_scheduler()),
        ]
        chance.shuffle(deeds)
        for deed in deeds:
            await asyncio.sleep(chance.uniform(0.2, 1))
            await deed()
        ids = await asyncio.wait_for(starting, 60)
        world.rpc.leave_alone()
    await check(world, ids, patience=90)


@pytest.mark.parametrize("stopped", ["scheduler", "host"])
async def test_stopped_for_longer_than_a_lease_while_activities_end(
    world: World, stopped: str
) -> None:
    starting = await start_all(world, 20)
    await world.stop(getattr(world, stopped), 15)
    await check(world, starting)
