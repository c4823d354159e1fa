"""Starts wait for their turn as long as the scheduler answers any, and no longer."""

import asyncio
import contextlib
import itertools

import pytest

from local_runtime.functions_host.webhook.task_hub import start_queue
from local_runtime.functions_host.webhook.task_hub.start_queue import SchedulerStuck, StartQueue


class StandingClock:
    """A clock that stands still, and tells when it has been looked at often."""

    def __init__(self) -> None:
        self.looked_at_often = asyncio.Event()
        self._looks = itertools.count(1)

    def __call__(self) -> float:
        if next(self._looks) > 5:
            self.looked_at_often.set()
        return 100.0


@pytest.fixture(autouse=True)
def one_at_once(monkeypatch):
    monkeypatch.setattr(start_queue, "_AT_ONCE", 1)


async def turn(queue: StartQueue, until: asyncio.Event, error: Exception | None = None) -> str:
    async with queue.turn():
        await until.wait()
        if error is not None:
            raise error
    return "started"


async def test_a_start_that_waits_while_none_is_answered_is_not_sent():
    queue = StartQueue(0.01)
    never = asyncio.Event()
    first = asyncio.create_task(turn(queue, never))
    await asyncio.sleep(0)

    with pytest.raises(SchedulerStuck):
        await turn(queue, never)
    never.set()
    assert await first == "started"


@pytest.mark.parametrize("refusal", [None, ValueError("in use")])
async def test_a_start_that_waits_gets_its_turn_when_another_was_answered_or_refused_lately(
    refusal,
):
    clock = StandingClock()
    queue = StartQueue(0.01, clock)
    at_once = asyncio.Event()
    at_once.set()
    with contextlib.suppress(ValueError):
        await turn(queue, at_once, refusal)
    first = asyncio.create_task(turn(queue, clock.looked_at_often))
    await asyncio.sleep(0)

    assert await turn(queue, at_once) == "started"
    assert await first == "started"
