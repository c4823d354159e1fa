"""`start` runs everything, keeps it running, and leaves nothing behind."""

import os
import signal

import httpx
import pytest

from tests.service import ROOT, WEBHOOK, runtime


@pytest.fixture
def small(tmp_path):
    with runtime(tmp_path / "data") as service:
        yield service


def start_waiting(service) -> dict[str, str]:
    reply = httpx.post(f"{service.url('Functions')}{WEBHOOK}/orchestrators/waits", json=None)
    assert reply.status_code == 202
    return reply.json()


def finish(urls: dict[str, str]) -> object:
    httpx.post(
        urls["sendEventPostUri"].replace("{eventName}", "go"), json="gone"
    ).raise_for_status()
    while (reply := httpx.get(urls["statusQueryGetUri"])).status_code == 202:
        pass
    return reply.json()["output"]


def test_banner_names_addresses_agents_flows_data_and_model(tmp_path) -> None:
    with runtime(tmp_path / "data", ROOT) as service:
        banner = service.banner
    assert "MyDurableAgent, FrenchTranslator, SpanishTranslator" in banner
    assert "agent_orchestration_workflow, content_pipeline" in banner
    assert str(tmp_path / "data") in banner
    assert "canned" in banner
    url = f"{service.url('Functions')}{WEBHOOK}/orchestrators/content_pipeline"
    assert f"curl -i -X POST {url} " in banner


def test_each_address_of_the_banner_answers(small) -> None:
    assert httpx.get(small.url("Functions")).status_code == 200
    page = httpx.get(small.url("Dashboard"), follow_redirects=True)
    assert "curl" in page.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything(small, number) -> None:
    start_waiting(small)
    assert small.end(number) == 0


@pytest.mark.crash
def test_when_the_supervisor_is_killed_its_children_end(small) -> None:
    start_waiting(small)
    assert set(small.children()) == {"scheduler", "model", "host"}
    assert small.end(signal.SIGKILL) == -signal.SIGKILL


@pytest.mark.crash
def test_killed_parts_come_back_on_the_same_ports(small) -> None:
    urls = start_waiting(small)
    for pid in small.children().values():
        os.kill(pid, signal.SIGKILL)
    small.wait_for_log("ended unexpectedly \\(killed by SIGKILL\\)", times=3)
    small.wait_for_log("runs again", times=3)
    assert finish(urls) == "gone"


def test_a_part_that_does_not_stop_is_killed(small) -> None:
    os.kill(small.children()["model"], signal.SIGSTOP)
    assert small.end() == 0


def test_state_is_kept_over_a_restart(tmp_path) -> None:
    with runtime(tmp_path / "data") as service:
        before = start_waiting(service)
        first = service.url("Functions")
    with runtime(tmp_path / "data") as service:
        second = service.url("Functions")
        urls = {name: url.replace(first, second) for name, url in before.items()}
        assert finish(urls) == "gone"


def test_an_approval_of_a_day_times_out_at_once_in_virtual_time(tmp_path) -> None:
    samples = ROOT / "tests" / "apps" / "durable_samples"
    with runtime(tmp_path / "data", samples, options=["--virtual-time"]) as service:
        url = f"{service.url('Functions')}{WEBHOOK}/orchestrators/approval"
        urls = httpx.post(url, json={"seconds": 86_400}).json()
        while httpx.get(urls["statusQueryGetUri"]).json()["runtimeStatus"] != "Running":
            pass
        clock = f"{service.url('Dashboard')}/clock/advance"
        assert httpx.post(clock, json={"seconds": 86_401}, timeout=90).json()["complete"] is True
        while (status := httpx.get(urls["statusQueryGetUri"])).status_code == 202:
            pass
        assert status.json()["runtimeStatus"] == "Completed"
        assert status.json()["output"] == "escalated"
