"""The Python SDK's schedules: an entity that signals itself for later, and starts orchestrations.

An SDK worker computes the times of a schedule from its own clock. In most of these tests that is
the scheduler's, so that days pass at once; the first one leaves the machine's.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from durabletask import task
from durabletask.scheduled import (
    AsyncScheduleClient,
    AsyncScheduledTaskClient,
    ScheduleCreationOptions,
    ScheduleDescription,
    ScheduleQuery,
    ScheduleStatus,
    ScheduleUpdateOptions,
    schedule_entity,
)

from local_runtime.clock import Clock, SystemClock, VirtualClock

from .conftest import PATIENCE, START, running
from .sdk import Sdk, connected

DAY = timedelta(days=1)


class Calendar:
    """Schedules at one scheduler, and what they have started."""

    def __init__(self, sdk: Sdk, clock: Clock) -> None:
        self.sdk = sdk
        self.clock = clock
        self.schedules = AsyncScheduledTaskClient(sdk.client)
        self._runs: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def do_note(context: task.ActivityContext, given: Any) -> None:
            run = (context.orchestration_id, given)
            loop.call_soon_threadsafe(self._runs.put_nowait, run)

        def job(context: task.OrchestrationContext, given: Any):
            yield context.call_activity(do_note, input=given)

        sdk.worker.configure_scheduled_tasks()
        sdk.has(do_note, job)

    async def create(self, name: str = "daily", **options: Any) -> AsyncScheduleClient:
        """Create a schedule, and return once it waits for its first time."""
        found = await self.schedules.create_schedule(
            ScheduleCreationOptions(name, "job", **{"interval": DAY, **options})
        )
        await self.armed(found)
        return found

    async def armed(self, schedule: AsyncScheduleClient) -> ScheduleDescription:
        """Return what a schedule says of itself once it waits for a next time."""
        async with asyncio.timeout(PATIENCE):
            while (found := await schedule.describe()).next_run_at is None:
                pass
        return found

    async def next_run(self) -> tuple[str, Any]:
        """Return the id and the input of the next run of a schedule, once it has ended."""
        async with asyncio.timeout(PATIENCE):
            run = await self._runs.get()
        await self.sdk.finished(run[0])
        return run

    async def pass_days(self, count: int) -> list[str]:
        """Let days pass, each with the run of a daily schedule; return the ids of the runs."""
        found: list[str] = []
        for _ in range(count):
            await self.clock.advance(DAY)
            found.append((await self.next_run())[0])
        return found

    async def started(self) -> list[str]:
        """Return the ids of all that schedules have started, in their order."""
        everything = await self.sdk.client.get_all_orchestration_states()
        return sorted(state.instance_id for state in everything if state.name == "job")


def days(*numbers: int, name: str = "daily") -> list[str]:
    """The ids of the runs of a schedule on the given days after the start."""
    return [f"{name}-{(START + number * DAY).isoformat()}" for number in numbers]


@contextlib.asynccontextmanager
async def calendar_on(folder: Path, clock: Clock) -> AsyncIterator[Calendar]:
    async with running(folder, clock) as address, connected(address) as sdk:
        yield Calendar(sdk, clock)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    found = VirtualClock(START)
    monkeypatch.setattr(schedule_entity, "_now", found.now)
    return found


@pytest.fixture
async def calendar(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Calendar]:
    async with calendar_on(tmp_path / "data", clock) as found:
        yield found


async def test_a_schedule_runs_by_the_clock_of_the_machine(tmp_path: Path) -> None:
    async with calendar_on(tmp_path / "data", SystemClock()) as calendar:
        second = timedelta(seconds=1)
        await calendar.create("often", interval=second, start_immediately_if_late=True)
        runs = [(await calendar.next_run())[0] for _ in range(3)]
        assert datetime.now(UTC) >= moment(runs[2])  # noqa: TID251 - the machine's clock is meant
        assert moment(runs[1]) < moment(runs[2])
        assert (moment(runs[2]) - moment(runs[1])) % second == timedelta()


def moment(run: str) -> datetime:
    return datetime.fromisoformat(run.partition("-")[2])


async def test_each_interval_starts_its_orchestration_once(calendar: Calendar) -> None:
    await calendar.create(orchestration_input={"to": "everybody"})
    runs: list[tuple[str, Any]] = []
    for _ in range(30):
        await calendar.clock.advance(DAY)
        runs.append(await calendar.next_run())
    expected = days(*range(1, 31))
    assert runs == [(run, {"to": "everybody"}) for run in expected]
    assert await calendar.started() == expected


async def test_a_schedule_begins_and_ends_at_its_times(calendar: Calendar) -> None:
    schedule = await calendar.create(start_at=START + 10 * DAY, end_at=START + 11.5 * DAY)
    await calendar.clock.advance(9 * DAY)
    assert await calendar.pass_days(2) == days(10, 11)
    await calendar.clock.advance(DAY)
    async with asyncio.timeout(PATIENCE):
        while await calendar.schedules.get_schedule(schedule.schedule_id) is not None:
            pass
    assert await calendar.started() == days(10, 11)


async def test_nothing_is_started_while_a_schedule_is_paused(calendar: Calendar) -> None:
    schedule = await calendar.create()
    assert await calendar.pass_days(2) == days(1, 2)
    await schedule.pause()
    assert (await schedule.describe()).status is ScheduleStatus.PAUSED
    await calendar.clock.advance(10 * DAY)
    await schedule.resume()
    assert (await calendar.armed(schedule)).next_run_at == START + 13 * DAY
    assert await calendar.pass_days(2) == days(13, 14)
    assert await calendar.started() == days(1, 2, 13, 14)


async def test_an_updated_schedule_goes_on_with_its_new_interval(calendar: Calendar) -> None:
    schedule = await calendar.create()
    assert await calendar.pass_days(1) == days(1)
    await schedule.update(ScheduleUpdateOptions(interval=7 * DAY, orchestration_input="weekly"))
    async with asyncio.timeout(PATIENCE):
        while (await schedule.describe()).next_run_at != START + 7 * DAY:
            pass
    await calendar.clock.advance(6 * DAY)
    assert await calendar.next_run() == (days(7)[0], "weekly")
    await calendar.clock.advance(7 * DAY)
    assert await calendar.next_run() == (days(14)[0], "weekly")
    assert await calendar.started() == days(1, 7, 14)


async def test_schedules_are_described_and_listed(calendar: Calendar) -> None:
    await calendar.create("daily", orchestration_input=1)
    weekly = await calendar.create("weekly", interval=7 * DAY)
    await weekly.pause()
    found = await calendar.schedules.get_schedule("daily")
    assert found is not None
    assert (found.interval, found.orchestration_input, found.next_run_at) == (DAY, 1, START + DAY)
    assert await calendar.schedules.get_schedule("nothing") is None
    listed = await calendar.schedules.list_schedules(ScheduleQuery(page_size=1))
    assert sorted(each.schedule_id for each in listed) == ["daily", "weekly"]
    paused = await calendar.schedules.list_schedules(ScheduleQuery(status=ScheduleStatus.PAUSED))
    assert [each.schedule_id for each in paused] == ["weekly"]


async def test_a_deleted_schedule_starts_nothing_more(calendar: Calendar) -> None:
    schedule = await calendar.create()
    assert await calendar.pass_days(1) == days(1)
    await schedule.delete()
    assert await calendar.schedules.list_schedules() == []
    await calendar.clock.advance(DAY)
    # Under the same id: its operations come after the signal that was still on its way.
    await calendar.create()
    assert await calendar.pass_days(1) == days(3)
    assert await calendar.started() == days(1, 3)


async def test_a_schedule_survives_the_scheduler(tmp_path: Path, clock: VirtualClock) -> None:
    async with calendar_on(tmp_path / "data", clock) as calendar:
        await calendar.create()
        assert await calendar.pass_days(2) == days(1, 2)
    await clock.advance(4.5 * DAY)  # of what was due meanwhile, the SDK starts the first
    async with calendar_on(tmp_path / "data", clock) as calendar:
        assert (await calendar.next_run())[0] == days(3)[0]
        await clock.advance(DAY / 2)
        assert (await calendar.next_run())[0] == days(7)[0]
        assert await calendar.pass_days(1) == days(8)
        assert await calendar.started() == days(1, 2, 3, 7, 8)
