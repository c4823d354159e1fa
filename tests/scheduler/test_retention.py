"""Finished instances are deleted when they are older than they are to be kept."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from local_runtime.clock import VirtualClock

from .conftest import Actions, Hub, Scheduler, stamp

DAY = timedelta(days=1)


@pytest.fixture
async def keeping(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Scheduler]:
    """A scheduler that keeps what has ended for ten days."""
    scheduler = Scheduler(tmp_path / "data", clock, retention=10 * DAY)
    await scheduler.start()
    yield scheduler
    await scheduler.stop()


@contextlib.asynccontextmanager
async def ended(hub: Hub, *ids: str) -> AsyncIterator[None]:
    worker = hub.worker()
    await worker.connect()
    for instance_id in ids:
        await hub.start(instance_id)
        await worker.answer_turn(await worker.next(), Actions.complete())
        await hub.wait(instance_id)
    yield
    await worker.lose()


async def gone(hub: Hub, instance_id: str) -> None:
    """Wait until an instance does not exist; the test's own limit ends a vain wait."""
    while (await hub.get(instance_id)).exists:
        pass


async def test_what_ended_longer_ago_is_deleted_once_an_hour(keeping, clock) -> None:
    hub = await keeping.hub()
    async with ended(hub, "old"):
        await clock.advance(6 * DAY)
    async with ended(hub, "young"):
        await clock.advance(5 * DAY)
    await gone(hub, "old")
    assert (await hub.get("young")).exists


async def test_what_has_not_ended_stays_however_old(keeping, clock) -> None:
    hub = await keeping.hub()
    async with ended(hub, "other"):
        await hub.start("waiting", scheduledStartTimestamp=stamp(clock.now() + 9999 * DAY))
        await clock.advance(400 * DAY)
    await gone(hub, "other")
    assert (await hub.get("waiting")).exists


async def test_a_start_deletes_what_has_become_too_old_meanwhile(keeping, clock) -> None:
    hub = await keeping.hub()
    async with ended(hub, *(f"wf{number}" for number in range(3))):
        pass
    await keeping.stop()
    await clock.advance(11 * DAY)
    await keeping.start()
    for number in range(3):
        await gone(await keeping.hub(), f"wf{number}")


async def test_without_a_limit_everything_stays(scheduler: Scheduler, clock) -> None:
    hub = await scheduler.hub()
    async with ended(hub, "old"):
        await clock.advance(4000 * DAY)
    await hub.start("later")
    assert (await hub.get("old")).exists
