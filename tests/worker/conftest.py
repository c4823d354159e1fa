"""A scheduler in a process of its own, and workers in others."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from durabletask.client import TaskHubGrpcClient

from samples.worker.connection import Connection
from tests.service import PATIENCE, ROOT, environment, started


class Shop:
    """What a test sees of the worker's process.

    Attributes:
        folder: Where it takes its notes.
        client: A client of the task hub.
    """

    def __init__(self, endpoint: str, folder: Path, task_hub: str) -> None:
        self._environment = environment({"ENDPOINT": endpoint, "TASKHUB": task_hub})
        self.folder = folder
        self.client: TaskHubGrpcClient = Connection(endpoint, task_hub).client()
        for name in ("model", "tool"):
            os.mkfifo(folder / f"{name}.reached")
            os.mkfifo(folder / f"{name}.go")

    @property
    def effects(self) -> list[str]:
        return (self.folder / "effects").read_text().split("\n")[:-1]

    def wait_for(self, gate: str) -> None:
        (self.folder / f"{gate}.reached").read_text()

    def let_go(self, gate: str) -> None:
        (self.folder / f"{gate}.go").write_text("x")

    @contextmanager
    def working(self, client: str = "client") -> Iterator[subprocess.Popen[str]]:
        arguments = [sys.executable, "-m", "tests.worker.shop", str(self.folder), client]
        process = subprocess.Popen(
            arguments, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("working")
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE)
            process.stdout.close()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("scheduler")
    arguments = ["scheduler", "--grpc-port", 0, "--no-dashboard", "--data", data]
    with started(*arguments) as service:
        [url] = service.wait_for_log(r"scheduler at (http://\S+)")
        yield url


@pytest.fixture
def shop(endpoint: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """One for each test, with a task hub of its own."""
    shop = Shop(endpoint, tmp_path, f"hub{abs(hash(request.node.name))}")
    with shop.client:
        yield shop
