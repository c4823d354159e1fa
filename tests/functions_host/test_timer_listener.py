"""A timer's runs, on a clock that the tests move: due, missed, one at a time, in one host."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from filelock import FileLock

from local_runtime.background import BackgroundTasks
from local_runtime.clock import VirtualClock
from local_runtime.functions_host.app.watchdog import FunctionTimedOut
from local_runtime.functions_host.app.worker_messages import (
    RetryContext,
    RpcException,
    RpcRetryOptions,
)
from local_runtime.functions_host.triggers.timer.listener import Timer, TimerListener
from local_runtime.functions_host.triggers.timer.retries import RetryPolicy
from local_runtime.functions_host.triggers.timer.schedule import parse_schedule
from local_runtime.functions_host.triggers.timer.status import StatusFile, TimerStatus

START = datetime(2024, 1, 1, 10, 2, tzinfo=UTC)
EVERY_FIVE = "0 */5 * * * *"


class Runs:
    """A timer in one host after the other, and what its function was invoked with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(START)
        self.seen: asyncio.Queue[dict] = asyncio.Queue()
        self.open = asyncio.Event()
        self.open.set()
        self.known = True
        self.failing = False

    @contextlib.asynccontextmanager
    async def host(
        self,
        schedule: str = EVERY_FIVE,
        grace: float = 5,
        listening: BackgroundTasks | None = None,
        **more,
    ) -> AsyncIterator:
        timer = Timer("tick", parse_schedule(schedule, ZoneInfo("UTC")), **more)
        lock = FileLock(self.folder / "tick.lock")
        file = StatusFile(self.folder / "tick.json")
        listener = TimerListener(timer, self._invoke, self.clock, lock, file)
        task = (listening or BackgroundTasks(self.clock)).start(listener.name, listener.run)
        try:
            yield listener
        finally:
            await listener.stop(grace)
            await task.stop()

    async def next(self) -> dict:
        return await asyncio.wait_for(self.seen.get(), 30)

    async def advance(self, **by: float) -> None:
        await self.settle()
        await self.clock.advance(timedelta(**by))
        await self.settle()

    async def settle(self) -> None:
        """Let everything that waits for nothing go on."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def _invoke(self, info: str, retry: RetryContext) -> RpcException | None:
        self.seen.put_nowait(json.loads(info) | {"retry": retry})
        await self.open.wait()
        if not self.known:
            raise FunctionTimedOut("tick")
        return RpcException("boom") if self.failing else None


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


async def test_function_is_invoked_when_it_is_due_and_not_before(runs: Runs):
    async with runs.host():
        await runs.advance(minutes=2, seconds=59)
        assert runs.seen.empty()
        await runs.advance(seconds=1)

        assert await runs.next() == {
            "retry": RetryContext(),
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {
                "Last": "0001-01-01T00:00:00",
                "LastUpdated": "2024-01-01T10:02:00+00:00",
                "Next": "2024-01-01T10:05:00+00:00",
            },
            "IsPastDue": False,
        }
        await runs.advance(minutes=5)

        assert (await runs.next())["ScheduleStatus"] == {
            "Last": "2024-01-01T10:05:00+00:00",
            "LastUpdated": "2024-01-01T10:05:00+00:00",
            "Next": "2024-01-01T10:10:00+00:00",
        }


async def test_run_that_was_missed_is_made_up_for_once_and_said_to_be_late(runs: Runs):
    async with runs.host():
        await runs.settle()
    await runs.clock.advance(timedelta(hours=1, minutes=1))
    async with runs.host():
        missed = await runs.next()
        await runs.settle()

        assert missed["IsPastDue"] is True
        assert missed["ScheduleStatus"]["Next"] == "2024-01-01T10:05:00+00:00"
        assert runs.seen.empty()
        await runs.advance(minutes=2)
        assert (await runs.next())["IsPastDue"] is False


async def test_restart_in_time_misses_nothing_and_repeats_nothing(runs: Runs):
    async with runs.host():
        await runs.advance(minutes=3)
        await runs.next()
    async with runs.host():
        await runs.settle()

        assert runs.seen.empty()


async def test_timer_whose_schedule_was_changed_has_missed_nothing(runs: Runs):
    async with runs.host():
        await runs.settle()
    await runs.clock.advance(timedelta(hours=1))
    async with runs.host("0 */10 * * * *"):
        await runs.settle()
        assert runs.seen.empty()
        await runs.advance(minutes=8)

        assert (await runs.next())["IsPastDue"] is False


@pytest.mark.parametrize(
    "more", [{"schedule": "*/30 * * * * *"}, {"schedule": "00:00:30"}, {"use_monitor": False}]
)
async def test_timer_without_monitor_keeps_no_state(runs: Runs, more):
    async with runs.host(**more):
        await runs.advance(minutes=3)
        assert (await runs.next())["ScheduleStatus"] is None
    await runs.clock.advance(timedelta(hours=1))
    async with runs.host(**more):
        await runs.settle()

        assert runs.seen.empty()
        assert not (runs.folder / "tick.json").exists()


async def test_runs_of_one_timer_do_not_overlap(runs: Runs):
    runs.open.clear()
    async with runs.host():
        await runs.advance(minutes=3)
        await runs.next()
        await runs.advance(minutes=16)
        assert runs.seen.empty()
        runs.open.set()

        # What came meanwhile is one run, at once; the next one is on time.
        assert (await runs.next())["IsPastDue"] is False
        await runs.settle()
        assert runs.seen.empty()
        await runs.advance(minutes=4)
        await runs.next()


async def test_run_on_startup_comes_at_once(runs: Runs):
    async with runs.host(run_on_startup=True):
        assert (await runs.next())["IsPastDue"] is False
        await runs.advance(minutes=3)
        await runs.next()


async def test_two_hosts_run_a_timer_once_and_the_second_takes_over(runs: Runs):
    async with contextlib.AsyncExitStack() as second:
        async with runs.host():
            await runs.settle()
            await second.enter_async_context(runs.host())
            await runs.advance(minutes=3)
            await runs.next()
            await runs.settle()
            assert runs.seen.empty()
        await runs.advance(minutes=5)

        await runs.next()
        assert runs.seen.empty()


async def test_stop_lets_a_run_finish_and_begins_no_other(runs: Runs):
    runs.open.clear()
    async with runs.host() as listener:
        await runs.advance(minutes=3)
        await runs.next()
        stopping = asyncio.create_task(listener.stop(30))
        await runs.advance(minutes=10)
        runs.open.set()
        await stopping
    assert runs.seen.empty()

    status = json.loads((runs.folder / "tick.json").read_text())
    assert status["Last"] == "2024-01-01T10:05:00+00:00"


async def test_run_that_was_cut_off_comes_again_at_the_next_start(runs: Runs):
    runs.open.clear()
    async with runs.host(grace=0):
        await runs.advance(minutes=3)
        await runs.next()
    runs.open.set()
    await runs.clock.advance(timedelta(seconds=1))
    async with runs.host():
        assert (await runs.next())["IsPastDue"] is True


async def test_run_that_took_too_long_comes_again_in_another_process(runs: Runs):
    runs.known = False
    async with runs.host():
        await runs.advance(minutes=3)
        await runs.next()
        await runs.advance(minutes=30)
        assert runs.seen.empty()
    runs.known = True
    async with runs.host():
        assert (await runs.next())["IsPastDue"] is True


MINUTE = timedelta(minutes=1)


async def test_failed_run_is_retried_before_the_next_is_due(runs: Runs):
    runs.failing = True
    async with runs.host(retries=RetryPolicy(2, MINUTE, MINUTE)):
        await runs.advance(minutes=3)
        first = await runs.next()
        await runs.advance(seconds=59)
        assert runs.seen.empty()
        await runs.advance(seconds=1)
        second = await runs.next()
        await runs.advance(minutes=1)
        third = await runs.next()
        await runs.advance(minutes=2)
        assert runs.seen.empty(), "no more retries"
        await runs.advance(minutes=1)
        anew = await runs.next()

    boom = RpcException("boom")
    assert [one["retry"] for one in (first, second, third, anew)] == [
        RetryContext(0, 2),
        RetryContext(1, 2, boom),
        RetryContext(2, 2, boom),
        RetryContext(0, 2),
    ]
    for one in (second, third):
        assert one["ScheduleStatus"] == first["ScheduleStatus"]


async def test_retry_that_succeeds_is_the_last(runs: Runs):
    runs.failing = True
    async with runs.host(retries=RetryPolicy(-1, MINUTE, MINUTE)):
        await runs.advance(minutes=3)
        for _ in range(10):
            await runs.next()
            await runs.advance(minutes=1)
        runs.failing = False
        await runs.next()
        await runs.advance(minutes=1)
        assert (await runs.next())["retry"].retry_count == 11
        # What was due meanwhile is one run.
        assert (await runs.next())["retry"] == RetryContext(0, -1)
        await runs.settle()
        assert runs.seen.empty()


async def test_stop_waits_for_no_retry_and_the_run_comes_again(runs: Runs):
    runs.failing = True
    retries = RetryPolicy(5, timedelta(days=1), timedelta(days=1))
    async with runs.host(grace=3600, retries=retries):
        await runs.advance(minutes=3)
        await runs.next()
        await runs.settle()
    await runs.clock.advance(timedelta(seconds=1))
    async with runs.host():
        assert (await runs.next())["IsPastDue"] is True


def exponential(shortest: int, longest: int) -> RetryPolicy:
    return RetryPolicy.of(
        RpcRetryOptions(
            -1,
            "exponential_backoff",
            minimum_interval=timedelta(seconds=shortest),
            maximum_interval=timedelta(seconds=longest),
        )
    )


def test_pauses_grow_up_to_the_longest():
    pauses = [exponential(10, 100).pause(retry).total_seconds() for retry in range(1, 7)]

    for pause, expected in zip(pauses, (10, 20, 30, 50, 90, 100), strict=True):
        assert abs(pause - expected) <= (expected - 10) / 5
    assert exponential(1, 2**31 - 1).pause(10**6) == timedelta(seconds=2**31 - 1)
    assert exponential(0, 2**31 - 1).pause(10**6) == timedelta()


async def test_timer_goes_on_when_its_state_cannot_be_stored(runs: Runs, caplog):
    async with runs.host():
        await runs.settle()
        shutil.rmtree(runs.folder)
        await runs.advance(minutes=3)
        await runs.next()
        await runs.advance(minutes=5)
        await runs.next()

        assert "the state of timer tick could not be stored" in caplog.text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Last": 1}', '{"Last": "x", "Next": "y"}'])
async def test_state_that_makes_no_sense_is_begun_anew(runs: Runs, text):
    (runs.folder / "tick.json").write_text(text)
    async with runs.host():
        await runs.advance(minutes=3)

        assert (await runs.next())["IsPastDue"] is False


async def test_a_fault_of_the_listener_does_not_repeat_the_run_at_the_start(
    runs: Runs, monkeypatch
):
    """Its state cannot be computed after the run; what began is begun again, but not the run."""
    again = asyncio.Event()
    after_run = TimerStatus.after_run

    def fails_once(status: TimerStatus, *given: object) -> TimerStatus:
        monkeypatch.setattr(TimerStatus, "after_run", after_run)
        again.set()
        raise OverflowError("no such time")

    monkeypatch.setattr(TimerStatus, "after_run", fails_once)
    tasks = BackgroundTasks(runs.clock)
    async with runs.host(run_on_startup=True, listening=tasks):
        await runs.next()
        await again.wait()
        while tasks.reports()[0].failures == 0 or not tasks.reports()[0].is_well:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await runs.advance(minutes=3)
        await runs.next()
        assert runs.seen.empty()
