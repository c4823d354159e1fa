"""Processes die and come back: work goes on, and what was recorded is not done again."""

import httpx
import pytest
from host_process import APPS, WEBHOOK, finished, running, running_host

from tests.ports import free_port

APP = APPS / "holding"


def start(host: httpx.Client, name: str, instance_id: str) -> dict[str, str]:
    return host.post(f"{WEBHOOK}/orchestrators/{name}/{instance_id}").json()


@pytest.fixture
def hub(request):
    """A task hub of the test's own, so that no other host takes its work."""
    return request.node.name.replace("_", "-")[:60]


@pytest.mark.crash
def test_work_of_a_killed_host_runs_on_another_and_recorded_work_does_not(scheduler, hub):
    with running_host(APP, scheduler, task_hub=hub, environ={"HOLD": "1"}) as (part, host):
        started = start(host, "hold_once", "survivor")
        first_pid = int(host.get("/held").text)
        part.kill()

    with running_host(APP, scheduler, task_hub=hub) as (_, host):
        status = finished(host, {"statusQueryGetUri": moved(started, host)})

    assert status["output"][0] == first_pid
    assert status["output"][1] != first_pid


def test_stopping_host_gives_running_work_back(scheduler, hub):
    settings = {"task_hub": hub, "environ": {"HOLD": "1"}, "grace_seconds": 0.1}
    with running_host(APP, scheduler, **settings) as (part, host):
        started = start(host, "hold_once", "handed-on")
        host.get("/held")
        log = part.end()

    assert "waiting for 1 running work item(s)" in log
    assert "failed" not in log
    with running_host(APP, scheduler, task_hub=hub) as (_, host):
        status = finished(host, {"statusQueryGetUri": moved(started, host)})
    assert status["runtimeStatus"] == "Completed"


@pytest.mark.crash
def test_host_finds_a_restarted_scheduler_again(tmp_path, hub):
    with running("scheduler", data=str(tmp_path), port=free_port()) as first:
        port = first.facts()["grpc_port"]
        address = f"http://127.0.0.1:{port}"
        with running_host(APP, address, task_hub=hub) as (part, host):
            started = start(host, "ask", "patient")
            first.kill()
            part.wait_for_log(f"the scheduler at {address} is not reachable, waiting")
            with running("scheduler", data=str(tmp_path), port=port):
                part.wait_for_log(f"connected again to the scheduler at {address}")
                host.post(started["sendEventPostUri"].format(eventName="answer"), json=42)
                assert finished(host, started)["output"] == 42
                assert part.log.count("is not reachable") == 1


def test_host_waits_for_its_scheduler_and_answers_503_meanwhile(tmp_path, hub):
    address = f"http://127.0.0.1:{free_port()}"
    port = free_port()
    settings = {"app_dir": str(APP), "port": port, "scheduler": address, "task_hub": hub}
    with running("host", **settings) as part:
        part.wait_for_log(f"the scheduler at {address} is not reachable, waiting")
        assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 503
        with running("scheduler", data=str(tmp_path), port=int(address.rpartition(":")[2])):
            assert part.facts()["port"] == port
            assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200


def test_host_that_still_waits_for_its_scheduler_can_be_stopped(hub):
    address = f"http://127.0.0.1:{free_port()}"
    settings = {"app_dir": str(APP), "port": 0, "scheduler": address, "task_hub": hub}
    with running("host", **settings) as part:
        part.wait_for_log("is not reachable, waiting")
        part.end()

        assert part.process.returncode == 0


def moved(started: dict[str, str], host: httpx.Client) -> str:
    """The status URL at another host's port."""
    return str(httpx.URL(started["statusQueryGetUri"]).copy_with(port=host.base_url.port))
