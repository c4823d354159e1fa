"""An app of timers in a real host."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from host_process import APPS, WEBHOOK, Part, finished, running_host

LATE = {
    "Last": "2024-01-01T05:00:00+00:00",
    "LastUpdated": "2024-01-01T05:00:00+00:00",
    "Next": "2024-01-02T05:00:00+00:00",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose host last ran years ago."""
    data = tmp_path_factory.mktemp("data")
    folder = data / "host" / "timers" / "timers"
    folder.mkdir(parents=True)
    (folder / "nightly.json").write_text(json.dumps(LATE))
    return data


@pytest.fixture(scope="module")
def timers(scheduler: str, data: Path) -> Iterator[tuple[Part, httpx.Client]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OFTEN", "* * * * * *")
        patch.setenv("TZ", "UTC")
        with running_host(
            APPS / "timers", scheduler, task_hub="timers", data_dir=str(data)
        ) as host:
            yield host


def test_timer_runs_again_and_again(timers):
    _, http = timers
    runs = http.get("/api/runs/often/2").json()

    assert [run["past_due"] for run in runs[:2]] == [False, False]


def test_missed_run_is_made_up_for_at_the_start(timers, data):
    _, http = timers

    (run,) = http.get("/api/runs/nightly/1").json()

    assert (run["past_due"], run["status"]) == (True, LATE)
    stored = json.loads((data / "host" / "timers" / "timers" / "nightly.json").read_text())
    assert stored["Next"] > stored["Last"] > LATE["Next"]


def test_timer_at_the_start_starts_an_orchestration(timers):
    _, http = timers
    http.get("/api/runs/at_start/1")

    status = finished(http, {"statusQueryGetUri": f"{WEBHOOK}/instances/first-report"})

    assert status["output"] == "reported"


def test_timer_that_fails_is_logged_with_its_trace_and_goes_on(timers):
    part, http = timers
    http.get("/api/runs/often/1")

    part.wait_for_log("timer failing failed: RuntimeError: failed on purpose")
    part.wait_for_log('raise RuntimeError("failed on purpose")')


def test_failing_timer_is_retried_as_often_as_its_policy_says(timers):
    part, http = timers

    runs = http.get("/api/runs/never_works/3").json()
    part.wait_for_log("timer never_works runs next at")

    assert [(run["retry"], run["most"]) for run in runs] == [(0, 2), (1, 2), (2, 2)]
    assert [run["error"] for run in runs] == ["", *["ValueError: no luck"] * 2]
    assert len({run["invocation"] for run in runs}) == 3
    assert http.get("/api/runs/never_works/3").json() == runs


def test_retries_wait_longer_and_longer_and_end_with_a_success(timers):
    part, http = timers

    runs = http.get("/api/runs/works_at_last/3").json()
    part.wait_for_log("timer works_at_last runs next at")

    assert [(run["retry"], run["most"]) for run in runs] == [(0, -1), (1, -1), (2, -1)]
    part.wait_for_log("timer works_at_last runs again in 0:00:01 (retry 1)")
    part.wait_for_log("(retry 2)")
    assert len(http.get("/api/runs/works_at_last/3").json()) == 3


def test_retry_policy_of_another_trigger_has_no_effect(timers):
    _, http = timers

    assert http.get("/api/odd").status_code == 500
    assert len(http.get("/api/runs/not_a_timer/1").json()) == 1


@pytest.mark.parametrize(
    "line",
    [
        "timer function 'malformed' does not run: '25' is no value of the field 'hour'",
        "timer function 'unset' does not run: its schedule is '%NOT_SET%', and that setting is not",
        "timer function 'odd_policy' does not run: its retry strategy 'now_and_then' is not",
        "the retry policy of function 'not_a_timer' has no effect: its trigger is of type httpTrig",
    ],
)
def test_what_makes_no_sense_is_named_and_the_rest_runs(timers, line):
    part, _ = timers

    part.wait_for_log(line)


def test_timer_is_run_by_hand(timers):
    _, http = timers

    assert http.post("/admin/functions/by_hand", json={"input": ""}).status_code == 202

    (run,) = http.get("/api/runs/by_hand/1").json()
    assert (run["past_due"], run["status"]) == (False, {})


def test_second_host_with_the_same_data_leaves_the_timers_alone(timers, scheduler, data):
    with running_host(APPS / "timers", scheduler, task_hub="timers", data_dir=str(data)) as (
        second,
        _,
    ):
        second.wait_for_log("timer nightly is run by another host process")
        second.wait_for_log("timer at_start is run by another host process")
    assert "failed on purpose" not in second.log
