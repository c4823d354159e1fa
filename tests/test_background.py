"""A background task goes on after any fault, backs off meanwhile, and tells how it is."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from local_runtime import background
from local_runtime.background import BackgroundTasks, TaskReport, TaskState
from local_runtime.clock import VirtualClock

START = datetime(2026, 1, 1, tzinfo=UTC)


class Work:
    """Fails as often as it is told to, and then goes on."""

    def __init__(self, *faults: BaseException | None) -> None:
        self.faults = list(faults)
        self.runs = 0
        self.well = asyncio.Event()

    async def run(self) -> None:
        self.runs += 1
        if self.faults:
            fault = self.faults.pop(0)
            if fault is not None:
                raise fault
            return
        self.well.set()
        await asyncio.Event().wait()


@pytest.fixture
async def tasks():
    found = BackgroundTasks(VirtualClock(START), "task hub test")
    yield found
    await found.stop()


def report(tasks: BackgroundTasks) -> TaskReport:
    return tasks.reports()[0]


@pytest.mark.parametrize(
    "fault",
    [ValueError("row 7"), None, asyncio.CancelledError(), StopAsyncIteration(), MemoryError()],
    ids=repr,
)
async def test_whatever_ends_a_task_it_begins_again(tasks, fault) -> None:
    work = Work(fault)
    tasks.start("work", work.run)
    await asyncio.wait_for(work.well.wait(), 20)
    found = report(tasks)
    assert (work.runs, found.failures, found.state) == (2, 1, TaskState.RUNNING)
    assert found.last_error
    assert found.failed_at == START


async def test_a_failing_task_says_so_and_waits_longer_each_time(tasks, monkeypatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        assert report(tasks).state is TaskState.BACKING_OFF
        assert not report(tasks).is_well
        await sleep(0)

    monkeypatch.setattr(background.asyncio, "sleep", note)
    work = Work(*(ValueError(f"row {number}") for number in range(11)))
    tasks.start("work", work.run)
    await asyncio.wait_for(work.well.wait(), 20)
    assert pauses[:3] == [0.1, 0.2, 0.4]
    assert pauses[-2:] == [30.0, 30.0]
    assert report(tasks).last_error == "ValueError: row 10"


async def test_a_kind_of_failure_is_logged_once_and_counted_each_time(tasks, caplog) -> None:
    caplog.set_level(logging.INFO)
    work = Work(ValueError("row 7"), ValueError("row 8"), KeyError("other"))
    tasks.start("work", work.run)
    await asyncio.wait_for(work.well.wait(), 20)
    said = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
    assert len(said) == 2
    assert said[0].startswith("task hub test: work failed, and begins again in 0.1 s: ValueError")
    assert "row 7" in said[0]
    assert report(tasks).failures == 3


async def test_a_stop_is_no_failure(tasks) -> None:
    work = Work()
    task = tasks.start("work", work.run)
    await work.well.wait()
    await task.stop()
    assert (report(tasks).state, report(tasks).failures) == (TaskState.STOPPED, 0)
    await task.stop()


async def test_a_stop_does_not_wait_for_the_end_of_a_pause(tasks, monkeypatch) -> None:
    pausing = asyncio.Event()

    async def for_ever(seconds: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(background.asyncio, "sleep", for_ever)
    task = tasks.start("work", Work(ValueError()).run)
    async with asyncio.timeout(20):
        await pausing.wait()
        await task.stop()
    assert (report(tasks).state, report(tasks).failures) == (TaskState.STOPPED, 1)


async def test_a_task_that_may_end_ends(tasks) -> None:
    ended = asyncio.Event()
    work = Work(None)
    task = tasks.start("work", work.run, on_end=ended.set)
    task.let_end()
    await asyncio.wait_for(ended.wait(), 20)
    assert (work.runs, report(tasks).failures) == (1, 0)


async def test_an_error_that_is_not_the_tasks_own_ends_it_and_comes_out(tasks) -> None:
    ended = asyncio.Event()
    task = tasks.start("work", Work(OSError("gone")).run, fatal=(OSError,), on_end=ended.set)
    await asyncio.wait_for(ended.wait(), 20)
    with pytest.raises(OSError, match="gone"):
        await task.stop()
