"""The audit of executions finds recorded steps that ran again, and runs without a reason."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from durabletask import history

from tests.soak.executions import REASONS, Execution, Record, Trouble, judge, note, read, records

KEY = "wf/1"
RECORD = {KEY: Record(scheduled=100.0, done=105.0)}
FIRST = Execution(KEY, "worker-0", 100.1)
IN_TIME = Execution(KEY, "worker-1", 104.0)
AFTERWARDS = Execution(KEY, "worker-1", 107.0)


def test_one_run_of_each_recorded_task_is_no_fault() -> None:
    found = judge([FIRST], RECORD, [])
    assert (found.faults, found.tasks, found.executions, found.beyond_one) == ([], 1, 1, {})


def test_a_run_after_the_result_was_recorded_is_found() -> None:
    found = judge([FIRST, AFTERWARDS], RECORD, [Trouble("worker killed", 100, 120, "worker-0")])
    assert found.repeated == 1
    assert found.faults == ["wf/1 ran again on worker-1 1.00 s after it was recorded"]


@pytest.mark.parametrize("runs", [[], [AFTERWARDS]])
def test_a_result_of_what_did_not_run_is_found(runs: list[Execution]) -> None:
    assert judge(runs, RECORD, []).faults == ["wf/1 has a result and did not run before it"]


def test_a_further_run_without_a_reason_is_found() -> None:
    elsewhere = Trouble("worker killed", 100, 104, "worker-1")
    before, after = Trouble("scheduler killed", 90, 100), Trouble("scheduler killed", 104.5, 105)
    found = judge([FIRST, IN_TIME], RECORD, [elsewhere, before, after])
    assert found.faults == [
        "wf/1 ran on worker-0 and again on worker-1 3.90 s later without a reason"
    ]
    assert (found.repeated, found.beyond_one) == (0, {"no reason": 1})


@pytest.mark.parametrize("what", REASONS)
def test_a_further_run_has_a_reason_in_what_was_done_to_the_one_before(what: str) -> None:
    found = judge([FIRST, IN_TIME], RECORD, [Trouble(what, 101, 103, "worker-0")])
    assert (found.faults, found.beyond_one) == ([], {what: 1})


def test_the_first_of_several_reasons_counts() -> None:
    troubles = [
        Trouble("connection cut", 101, 102, "worker-0"),
        Trouble("scheduler killed", 102, 103),
    ]
    assert judge([FIRST, IN_TIME], RECORD, troubles).beyond_one == {"scheduler killed": 1}


def test_work_that_a_stopped_worker_had_already_may_run_late() -> None:
    stopped = Trouble("worker stopped", 103, 106.5, "worker-1")
    found = judge([FIRST, AFTERWARDS], RECORD, [stopped])
    assert (found.faults, found.repeated, found.beyond_one.total()) == ([], 0, 1)
    other = Trouble("worker stopped", 103, 106.5, "worker-2")
    assert judge([FIRST, AFTERWARDS], RECORD, [other]).repeated == 1


def test_a_scheduler_that_is_stopped_records_later() -> None:
    stopped = Trouble("scheduler stopped", 105.5, 106.5)
    assert judge([FIRST, AFTERWARDS], RECORD, [stopped]).repeated == 0


def test_runs_of_an_earlier_generation_do_not_count() -> None:
    assert judge([Execution(KEY, "worker-0", 99.9), FIRST], RECORD, []).beyond_one == {}


def test_runs_are_read_as_they_were_noted(tmp_path: Path) -> None:
    file = tmp_path / "executions"
    for key, what in (("a/1", "begin"), ("b/1", "begin"), ("a/1", "end")):
        note(str(file), key, "worker-0", what)
    first, second = read(file)
    assert (first.key, first.who, second.key, second.ended) == ("a/1", "worker-0", "b/1", None)
    assert first.ended is not None
    assert first.began <= first.ended


def test_records_are_those_of_the_last_time_a_task_was_scheduled() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    times = [at + timedelta(seconds=n) for n in range(5)]
    events = [
        history.TaskScheduledEvent(1, times[0], "step"),
        history.TaskFailedEvent(-1, times[1], 1),
        history.TaskScheduledEvent(1, times[2], "step"),
        history.TaskScheduledEvent(2, times[2], "step"),
        history.TaskCompletedEvent(-1, times[3], 1),
    ]
    expected = Record(times[2].timestamp(), times[3].timestamp())
    assert records("wf", events) == {"wf/1": expected}


def test_a_further_attempt_that_has_no_result_is_no_further_run_of_the_one_before() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    events = [
        history.TaskScheduledEvent(1, at, "step"),
        history.TaskFailedEvent(-1, at + timedelta(seconds=2), 1),
        history.TaskScheduledEvent(1, at + timedelta(seconds=3), "step"),
    ]
    known = records("wf", events)
    began = at.timestamp()
    runs = [Execution(KEY, "worker-0", began + 1), Execution(KEY, "worker-0", began + 3.1)]
    assert judge(runs, known, []).faults == []
    early = Execution(KEY, "worker-0", began + 2.5)
    assert len(judge([*runs, early], known, []).faults) == 1
