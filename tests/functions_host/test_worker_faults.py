"""What functions do to their process is no failure of their instance: the work runs again."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from host_process import APPS, WEBHOOK

from tests.service import Service, runtime

NO_MODEL = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}

pytestmark = pytest.mark.crash


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("data")
    with runtime(data, APPS / "faulty", env=NO_MODEL, options=["--workers", 2]) as service:
        yield service


@pytest.fixture(scope="module")
def http(service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url("Functions"), timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def start(http) -> Callable[..., dict[str, str]]:
    def start(name: str, payload: object, instance_id: str = "") -> dict[str, str]:
        reply = http.post(f"{WEBHOOK}/orchestrators/{name}/{instance_id}", json=payload)
        assert reply.status_code == 202, reply.text
        return reply.json()

    return start


HANGING = ["hangs", "hangs_async", "hanging_turn", "calls_entity"]


@pytest.fixture(scope="module")
def hanging(start, tmp_path_factory) -> dict[str, dict[str, str]]:
    """Instances with a function that never returns; all of them take their time at once."""
    urls: dict[str, dict[str, str]] = {}
    for name in HANGING:
        folder = str(tmp_path_factory.mktemp(name))
        if name in ("hanging_turn", "calls_entity"):
            urls[name] = start(name, folder, name)
        else:
            urls[name] = start("run_one", [name, folder], name)
    return urls


@pytest.mark.parametrize("name", HANGING)
def test_function_that_never_returns_runs_again_in_a_new_process(service, http, hanging, name):
    status = finished(http, hanging[name])

    assert (status["runtimeStatus"], status["output"]) == ("Completed", 2)
    instance = f"@hanging@{name}" if name == "calls_entity" else name
    service.wait_for_log(f"ERROR .* {instance}: function \\w+ has run for longer than .* 0:00:03")
    service.wait_for_log("is replaced by a new process")


def test_http_function_that_never_returns_is_a_500_and_the_next_request_is_served(service, http):
    before = http.get("/pid").text

    assert http.get("/hangs").status_code == 500

    # The old process may take a request yet while it ends.
    while (now := http.get("/pid")).text == before:
        assert now.status_code == 200
    assert int(now.text) == service.first_host()


def test_function_that_lets_nothing_else_run_is_ended_and_runs_again(
    service, http, start, tmp_path
):
    status = finished(http, start("run_one", ["holds_everything_up", str(tmp_path)]))

    assert status["output"] == 2
    service.wait_for_log(r"File .*function_app.py., line \d+ in holds_everything_up")


def test_function_that_exits_the_process_runs_again(service, http, start, tmp_path):
    assert finished(http, start("run_one", ["exits", str(tmp_path)]))["output"] == 2
    service.wait_for_log(r"ended unexpectedly \(exit status 3\) and is started again")


@pytest.mark.parametrize("name", ["calls_sys_exit", "calls_sys_exit_async"])
def test_function_that_calls_sys_exit_fails_and_ends_nothing(service, http, start, name):
    before = service.log.count("ended unexpectedly")

    status = finished(http, start("run_one", [name, ""], name))

    assert status["runtimeStatus"] == "Failed"
    service.wait_for_log(f"{name}: activity {name} #1 failed: SystemExit: enough")
    assert service.log.count("ended unexpectedly") == before


def test_activity_of_a_killed_worker_runs_again_and_is_recorded_once(
    service, http, start, tmp_path
):
    started = start("run_one", ["hangs", str(tmp_path)])
    os.kill(int(first_line(tmp_path / "1")), signal.SIGKILL)

    assert finished(http, started)["output"] == 2
    history = http.get(started["statusQueryGetUri"], params={"showHistory": True}).json()
    events = [event["EventType"] for event in history["historyEvents"]]
    assert events.count("TaskCompleted") == 1


def finished(http: httpx.Client, started: dict[str, str]) -> dict[str, Any]:
    """The last status; a connection may break meanwhile, when the process at its end dies."""
    while True:
        with contextlib.suppress(httpx.RemoteProtocolError, httpx.ReadError):
            reply = http.get(started["statusQueryGetUri"])
            if reply.status_code != 202:
                return reply.json()


def first_line(path: Path) -> str:
    while not path.exists():
        pass
    return path.read_text()
