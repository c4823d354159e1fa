"""--virtual-time: the clock of a running scheduler moves when it is told to, and only then."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from durabletask import client, task, worker

from tests.service import Service, run, started

MONTH = 30 * 24 * 3600


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with virtual(tmp_path_factory.mktemp("virtual")) as service:
        yield service


def virtual(folder: Path):
    ports = ["--grpc-port", 0, "--dashboard-port", 0]
    return started("scheduler", *ports, "--data", folder / "data", "--virtual-time")


def address(scheduler: Service) -> str:
    return scheduler.wait_for_log(r"scheduler at http://(localhost:\d+)")[0]


def page(scheduler: Service) -> str:
    return scheduler.wait_for_log(r"dashboard at (http://localhost:\d+)")[0]


def advance(scheduler: Service, **asked: object) -> httpx.Response:
    return httpx.post(f"{page(scheduler)}/clock/advance", json=asked, timeout=90)


def approval(context: task.OrchestrationContext, _: None):
    timer = context.create_timer(timedelta(days=30))
    event = context.wait_for_external_event("approval")
    first = yield task.when_any([timer, event])
    return "too late" if first is timer else event.get_result()


def patience(context: task.OrchestrationContext, days: int):
    for _ in range(days):
        yield context.create_timer(timedelta(days=1))
    return context.current_utc_datetime.isoformat()


@pytest.fixture(scope="module")
def connected(scheduler: Service) -> Iterator[client.TaskHubGrpcClient]:
    at = address(scheduler)
    with worker.TaskHubGrpcWorker(host_address=at) as found:
        found.add_orchestrator(approval)
        found.add_orchestrator(patience)
        found.start()
        with client.TaskHubGrpcClient(host_address=at) as hub:
            yield hub


def test_a_timer_of_thirty_days_fires_at_once(scheduler, connected) -> None:
    instance_id = connected.schedule_new_orchestration(approval)
    connected.wait_for_orchestration_start(instance_id)
    moved = advance(scheduler, seconds=MONTH).json()
    assert moved["complete"] is True
    ended = connected.wait_for_orchestration_completion(instance_id, timeout=30)
    assert ended.serialized_output == '"too late"'


def test_no_timer_fires_before_its_time(scheduler, connected) -> None:
    instance_id = connected.schedule_new_orchestration(approval)
    connected.wait_for_orchestration_start(instance_id)
    assert advance(scheduler, seconds=MONTH - 60).is_success
    connected.raise_orchestration_event(instance_id, "approval", data="yes")
    ended = connected.wait_for_orchestration_completion(instance_id, timeout=30)
    assert ended.serialized_output == '"yes"'


def test_timers_one_after_the_other_all_fire_in_one_advance(scheduler, connected) -> None:
    before = datetime.fromisoformat(httpx.get(f"{page(scheduler)}/clock").json()["now"])
    instance_id = connected.schedule_new_orchestration(patience, input=30)
    connected.wait_for_orchestration_start(instance_id)
    advance(scheduler, seconds=MONTH + 1)
    ended = connected.wait_for_orchestration_completion(instance_id, timeout=30)
    finished = datetime.fromisoformat(ended.serialized_output.strip('"')).replace(tzinfo=UTC)
    assert timedelta(days=30) <= finished - before < timedelta(days=30, minutes=1)


def test_a_later_start_begins_at_its_time(scheduler, connected) -> None:
    clock = httpx.get(f"{page(scheduler)}/clock").json()
    at = datetime.fromisoformat(clock["now"]) + timedelta(days=400)
    instance_id = connected.schedule_new_orchestration(patience, input=0, start_at=at)
    advance(scheduler, to=(at - timedelta(days=1)).isoformat())
    assert connected.get_orchestration_state(instance_id).runtime_status.name == "PENDING"
    advance(scheduler, to=at.isoformat())
    assert connected.wait_for_orchestration_completion(instance_id, timeout=30) is not None


def test_time_does_not_run_backwards_over_a_restart(tmp_path: Path) -> None:
    with virtual(tmp_path) as scheduler:
        reached = advance(scheduler, seconds=MONTH).json()["now"]
    with virtual(tmp_path) as scheduler:
        assert httpx.get(f"{page(scheduler)}/clock").json() == {"now": reached, "virtual": True}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"seconds": "1"}', 400),
        (b'{"seconds": true}', 400),
        (b'{"seconds": -1}', 400),
        (b'{"seconds": NaN}', 400),
        (b'{"seconds": Infinity}', 400),
        (b'{"seconds": 1e300}', 400),
        (b'{"seconds": 1, "to": "2030-01-01"}', 400),
        (b'{"to": "tomorrow"}', 400),
        (b'{"to": "0001-01-01T00:00:00+05:00"}', 400),
        (b'{"to": "2001-01-01T00:00:00Z"}', 400),
        (b'{"seconds": 1' + b" " * 2000 + b"}", 400),
    ],
)
def test_what_makes_no_sense_is_refused(scheduler: Service, body: bytes, status: int) -> None:
    url = f"{page(scheduler)}/clock/advance"
    before = httpx.get(f"{page(scheduler)}/clock").json()
    refused = httpx.post(url, content=body, headers={"Content-Type": "application/json"})
    assert (refused.status_code, list(refused.json())) == (status, ["error"])
    assert httpx.get(f"{page(scheduler)}/clock").json() == before


def test_a_form_of_a_web_page_moves_nothing(scheduler: Service) -> None:
    url = f"{page(scheduler)}/clock/advance"
    assert httpx.post(url, content=b'{"seconds": 1}').status_code == 415
    assert httpx.post(url, json={"seconds": 1}, headers={"Host": "evil.test"}).status_code == 400


def test_real_time_cannot_be_moved(tmp_path: Path) -> None:
    options = ["--grpc-port", 0, "--dashboard-port", 0, "--data", tmp_path]
    with started("scheduler", *options) as scheduler:
        assert httpx.get(f"{page(scheduler)}/clock").json()["virtual"] is False
        assert advance(scheduler, seconds=1).status_code == 409


def test_virtual_time_needs_the_port_on_which_it_is_moved(tmp_path: Path) -> None:
    refused = run("scheduler", "--virtual-time", "--no-dashboard", "--data", tmp_path)
    assert refused.returncode == 1
    assert "--no-dashboard" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_note_of_the_time_that_is_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "virtual-time").write_text("noon")
    options = ["--grpc-port", 0, "--dashboard-port", 0, "--data", tmp_path]
    refused = run("scheduler", "--virtual-time", *options)
    assert refused.returncode == 1
    assert "virtual-time" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("days", ["0", "-1", "nan", "inf", "1e9"])
def test_a_retention_that_is_no_number_of_days_is_refused(tmp_path: Path, days: str) -> None:
    refused = run("scheduler", f"--retention-days={days}", "--data", tmp_path)
    assert refused.returncode == 1
    assert "--retention-days" in refused.stderr
