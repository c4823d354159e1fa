"""What a function prints is passed on as it comes, however much it is."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from host_process import APPS, WEBHOOK, finished

from tests.service import Service, runtime

ENVIRONMENT = {
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",  # no model is needed
    "AzureFunctionsJobHost__functionTimeout": "00:01:00",  # the app's own is for hanging functions
}


@pytest.fixture
def service(tmp_path) -> Iterator[Service]:
    with runtime(tmp_path, APPS / "faulty", ENVIRONMENT, options=["--workers", 2]) as service:
        yield service


@pytest.fixture
def http(service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url("Functions"), timeout=60) as client:
        yield client


@pytest.fixture
def start(http) -> Callable[..., dict[str, str]]:
    def start(activity: str, argument: object) -> dict[str, str]:
        return http.post(f"{WEBHOOK}/orchestrators/run_one", json=[activity, argument]).json()

    return start


def test_function_that_prints_a_gigabyte_fills_no_memory_and_holds_nothing_up(service, http, start):
    hosts, answered = service.hosts(), 0

    printing = start("prints", 1000)
    while (status := http.get(printing["statusQueryGetUri"])).status_code == 202:
        assert finished(http, start("hello", ""))["output"] == "hello"
        answered += 1

    assert answered >= 10
    assert status.json()["output"] in hosts
    assert service.hosts() == hosts
    service.wait_for_log("x{2000}", times=1000)  # of each line the beginning is kept here
    for process in (service.process.pid, *service.children().values(), *hosts):
        assert highest_mib(process) < 150


def highest_mib(pid: int) -> float:
    """The most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+)", status, re.MULTILINE)[1]) / 1024
