"""The scheduler stops answering, or dies: what was paid for is kept, and callers are told."""

import contextlib
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from host_process import APPS, WEBHOOK, Part, finished, running, running_host
from storage_answers import until

from tests.ports import free_port

APP = APPS / "paid"


@pytest.fixture
def scheduler(tmp_path) -> Iterator[Part]:
    with running("scheduler", data=str(tmp_path / "data"), port=free_port()) as part:
        part.port = part.facts()["grpc_port"]
        yield part


@pytest.fixture
def host(scheduler) -> Iterator[tuple[Part, httpx.Client]]:
    with running_host(APP, f"http://127.0.0.1:{scheduler.port}") as host:
        yield host


@contextlib.contextmanager
def stopped(part: Part) -> Iterator[None]:
    part.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        part.process.send_signal(signal.SIGCONT)


def buy(http: httpx.Client, folder: Path) -> dict[str, str]:
    started = http.post(f"{WEBHOOK}/orchestrators/buys/one", json=str(folder)).json()
    until((folder / "begun").exists)
    return started


def runs(folder: Path) -> list[str]:
    return (folder / "begun").read_text().splitlines()


def test_an_activity_that_ends_while_the_scheduler_hangs_is_recorded_when_it_goes_on(
    scheduler, host, tmp_path
):
    part, http = host
    started = buy(http, tmp_path)

    with stopped(scheduler):
        (tmp_path / "release").touch()
        part.wait_for_log("its result")

    assert finished(http, started)["output"] == "paid"
    assert runs(tmp_path) == ["release"]


def test_a_scheduler_that_hangs_is_noticed_and_found_again(scheduler, host, tmp_path):
    part, http = host
    started = buy(http, tmp_path)

    with stopped(scheduler):
        part.wait_for_log("is not reachable, waiting")
        (tmp_path / "release").touch()
        until((tmp_path / "ended").exists)

    part.wait_for_log("connected again")
    assert finished(http, started)["output"] == "paid"
    assert runs(tmp_path) == ["release"]
    assert part.log.count("is not reachable") == 1


@pytest.mark.crash
@pytest.mark.parametrize("ends", ["after the scheduler is back", "before the scheduler is back"])
def test_an_activity_under_way_when_the_scheduler_is_killed_runs_once(
    scheduler, host, tmp_path, ends
):
    part, http = host
    started = buy(http, tmp_path)

    scheduler.kill()
    if ends == "before the scheduler is back":
        (tmp_path / "release").touch()
        until((tmp_path / "ended").exists)
    with running("scheduler", data=str(tmp_path / "data"), port=scheduler.port):
        part.wait_for_log("connected again")
        (tmp_path / "release").touch()
        assert finished(http, started)["output"] == "paid"
        assert runs(tmp_path) == ["release"]


WRITES = [
    ("POST", "orchestrators/asks/new"),
    ("POST", "instances/there/raiseEvent/answer"),
    ("POST", "instances/there/terminate"),
    ("POST", "instances/there/suspend"),
    ("POST", "instances/there/resume"),
    ("POST", "instances/there/restart"),
    ("POST", "instances/there/rewind"),
    ("POST", "entities/till/one?op=wait"),
    ("DELETE", "entities/till/one"),
    ("DELETE", "instances/there"),
    ("DELETE", "instances?createdTimeFrom=2020-01-01T00:00:00Z"),
]


def test_writes_that_the_scheduler_does_not_answer_are_a_503_that_says_when_to_try_again(
    scheduler, host
):
    _, http = host
    http.post(f"{WEBHOOK}/orchestrators/asks/there")
    http.timeout = 60

    def send(write: tuple[str, str]) -> httpx.Response:
        return http.request(write[0], f"{WEBHOOK}/{write[1]}", json="x")

    with ThreadPoolExecutor(len(WRITES)) as threads, stopped(scheduler):
        replies = list(threads.map(send, WRITES))

    assert [reply.status_code for reply in replies] == [503] * len(WRITES)
    assert {reply.headers["retry-after"] for reply in replies} == {"5"}
    assert "'new' may have started" in replies[0].json()["Message"]
    assert http.get(f"{WEBHOOK}/instances/new").status_code in (202, 404)


def test_a_start_while_the_scheduler_is_away_waits_for_it(scheduler, host, tmp_path):
    _, http = host
    scheduler.kill()

    with ThreadPoolExecutor(1) as thread:
        started = thread.submit(http.post, f"{WEBHOOK}/orchestrators/chain/new?timeout=60")
        with running("scheduler", data=str(tmp_path / "data"), port=scheduler.port):
            reply = started.result()

    assert (reply.status_code, reply.json()) == (200, 3)
