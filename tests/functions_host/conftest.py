"""Fixtures: one scheduler and one host with the app of samples, shared by all tests here."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from host_process import APPS, WEBHOOK, Part, finished, running, running_host, storage

from tests.azurite import Azurite, running_azurite


@pytest.fixture(scope="session")
def scheduler(tmp_path_factory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("scheduler")
    with running("scheduler", data=str(data), port=0) as part:
        yield f"http://127.0.0.1:{part.facts()['grpc_port']}"


@pytest.fixture(scope="session")
def samples(scheduler) -> Iterator[tuple[Part, httpx.Client]]:
    with running_host(APPS / "durable_samples", scheduler) as host:
        yield host


@pytest.fixture(scope="module")
def azurite(tmp_path_factory) -> Iterator[Azurite]:
    with running_azurite(tmp_path_factory.mktemp("azurite")) as azurite:
        yield azurite


@pytest.fixture(scope="module")
def storage_app(scheduler, azurite) -> Iterator[tuple[Part, httpx.Client]]:
    """A host that runs the app of queue and blob triggers, on an account of its own."""
    with running_host(APPS / "storage", scheduler, environ=storage(azurite, "Storage")) as host:
        yield host


@pytest.fixture
def host(samples) -> httpx.Client:
    """An HTTP client of a host that runs the app of samples."""
    return samples[1]


@pytest.fixture
def start(host):
    """Starts an orchestration over the webhook; its check-status payload."""

    def start(name: str, *, payload: Any = None, instance_id: str = "") -> dict[str, str]:
        url = f"{WEBHOOK}/orchestrators/{name}/{instance_id}"
        reply = host.post(url, json=payload)
        assert reply.status_code == 202, reply.text
        return reply.json()

    return start


@pytest.fixture
def run(host):
    """Starts an orchestration, waits for its end, and returns its final status payload."""

    def run(name: str, payload: Any = None, instance_id: str = "") -> dict[str, Any]:
        url = f"{WEBHOOK}/orchestrators/{name}/{instance_id}"
        started = host.post(url, json=payload).json()
        return finished(host, started)

    return run
