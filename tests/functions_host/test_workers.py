"""Several processes, and several hosts, share the work of one task hub."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from host_process import APPS, WEBHOOK, finished, running_host

from tests.service import Service, run, runtime, started

APP = APPS / "shared_work"
NO_MODEL = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("data")
    with runtime(data, APP, env=NO_MODEL, options=["--workers", 2]) as service:
        yield service


@pytest.fixture
def http(service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url("Functions"), timeout=60) as client:
        yield client


@pytest.fixture
def fan_out(http) -> Callable[..., dict[str, str]]:
    def fan_out(name: str, width: int, folder: Path) -> dict[str, str]:
        return start(http, name, width, folder)

    return fan_out


def start(http: httpx.Client, name: str, width: int, folder: Path) -> dict[str, str]:
    url = f"{WEBHOOK}/orchestrators/fan_out"
    return http.post(url, json=[name, width, str(folder)]).json()


def wait_for_files(folder: Path, count: int) -> list[str]:
    while len(names := [path.name for path in folder.iterdir()]) < count:
        pass
    return names


def test_work_of_one_orchestration_runs_in_both_processes(service, http, fan_out, tmp_path):
    status = finished(http, fan_out("meets_another_process", 2, tmp_path))

    assert set(status["output"]) == service.hosts()
    assert "Workers    2 processes; the first serves HTTP" in service.banner


def test_limits_of_host_json_count_for_each_process(service, http, fan_out, tmp_path):
    urls = fan_out("waits_for_release", 6, tmp_path)
    running = wait_for_files(tmp_path, 4)

    assert sorted(name.split("-")[0] for name in running) == sorted(
        str(pid) for pid in service.hosts() for _ in range(2)
    )
    (tmp_path / "release").touch()
    assert {tuple(result) for result in finished(http, urls)["output"]} == {
        (pid, 2) for pid in service.hosts()
    }


@pytest.mark.crash
def test_no_connection_is_refused_when_the_process_that_serves_http_dies(service, http):
    before = http.get("/pid").text
    os.kill(int(before), signal.SIGKILL)

    # On new connections: those of the killed process are broken.
    now = httpx.get(f"{service.url('Functions')}/pid", timeout=60).text

    assert now != before
    assert int(now) == service.first_host()


@pytest.mark.crash
def test_killed_worker_comes_back_and_its_work_goes_to_the_other_meanwhile(
    service, http, fan_out, tmp_path
):
    urls = fan_out("waits_for_release", 4, tmp_path)
    wait_for_files(tmp_path, 4)
    first = service.first_host()
    [worker] = service.hosts() - {first}
    again = service.log.count("worker 2 runs again")

    os.kill(worker, signal.SIGKILL)
    service.wait_for_log(r"a worker disconnected: 2 work item\(s\) are ready again")
    (tmp_path / "release").touch()

    assert finished(http, urls)["runtimeStatus"] == "Completed"
    service.wait_for_log("worker 2 runs again", times=again + 1)
    assert worker not in service.hosts()
    assert service.first_host() == first


def test_two_hosts_on_one_scheduler_share_the_work(scheduler, tmp_path):
    hub = {"task_hub": "two-hosts"}
    with (
        running_host(APP, scheduler, **hub) as (one, http),
        running_host(APP, scheduler, **hub) as (other, _),
    ):
        status = finished(http, start(http, "meets_another_process", 2, tmp_path))

        assert set(status["output"]) == {one.process.pid, other.process.pid}


def test_stop_lets_running_work_of_all_processes_finish(scheduler, tmp_path):
    options = ["--app", APP, "--port", 0, "--scheduler", scheduler, "--task-hub", "stopping"]
    with started("host", *options, "--workers", 2, env=NO_MODEL) as host:
        url = host.wait_for_log(r"functions at (http://localhost:\d+)")[0]
        with httpx.Client(base_url=url) as http:
            start(http, "waits_for_release", 4, tmp_path)
        wait_for_files(tmp_path, 4)
        host.process.send_signal(signal.SIGTERM)
        host.wait_for_log(r"waiting for 2 running work item\(s\)", times=2)
        (tmp_path / "release").touch()
        assert host.end() == 0
        assert "ended without waiting" not in host.log
    with running_host(APP, scheduler, task_hub="stopping") as (part, http):
        # All four were recorded: none of them runs in this process.
        [instance] = http.get(f"{WEBHOOK}/instances").json()
        url = f"{WEBHOOK}/instances/{instance['instanceId']}"
        output = finished(http, {"statusQueryGetUri": url})["output"]
        assert part.process.pid not in {pid for pid, _ in output}


def test_a_broken_app_is_reported_once_for_all_processes(tmp_path):
    app = shutil.copytree(APP, tmp_path / "app")
    (app / "function_app.py").write_text("x = 1 / 0\n")

    refused = run("start", "--app", app, "--workers", 3, "--port", 0, "--scheduler-port", 0,
                  "--dashboard-port", 0, env=NO_MODEL)  # fmt: skip

    assert refused.returncode == 1
    assert refused.stderr.count("ZeroDivisionError") == 1
    assert "line 1: x = 1 / 0" in refused.stderr
