"""A process that runs out of open files: one line in the log, those connected are served, it heals.

What is limited is a process that runs already: the limit is put just above what it has open.
"""

import os
import resource
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import httpx
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs

from local_runtime.descriptors import LEAST
from tests.service import ROOT, SMALL_APP, WEBHOOK, command, environment, runtime

pytestmark = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="only Linux can limit another process"
)
FULL = "no more connections can be accepted"
PATIENCE = 20


@pytest.fixture
def small(tmp_path):
    with runtime(tmp_path / "data") as service:
        yield service


@contextmanager
def exhausted(pid: int, port: int) -> Iterator[None]:
    """Leave a process a few open files, and take them by connections."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # The greatest number counts, not how many there are.
    highest = max(int(number) for number in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 4, before[1]))
    with ExitStack() as stack:
        for _ in range(highest + 50):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def port_of(url: str) -> int:
    return httpx.URL(url).port


def part(service, title: str) -> int:
    return service.first_host() if title == "Functions" else service.children()["scheduler"]


@pytest.mark.parametrize("title", ["Functions", "Dashboard"])
def test_who_is_connected_is_served_and_the_others_are_when_there_is_room(small, title) -> None:
    url = small.url(title)
    with httpx.Client(base_url=url, follow_redirects=True, timeout=PATIENCE) as connected:
        assert connected.get("/").status_code == 200
        with exhausted(part(small, title), port_of(url)):
            small.wait_for_log(FULL)
            assert connected.get("/").status_code == 200
            late = socket.create_connection(("127.0.0.1", port_of(url)), PATIENCE)
            late.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with late:
            assert late.recv(12).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("title", ["Functions", "Dashboard"])
def test_the_log_says_it_once_and_how_to_allow_more(small, title) -> None:
    before = len(small.log)
    with exhausted(part(small, title), port_of(small.url(title))):
        small.wait_for_log(FULL)
        # As long as several tries of the server take.
        with pytest.raises(httpx.TimeoutException):
            httpx.get(small.url(title), timeout=2.5)
    assert httpx.get(small.url(title), follow_redirects=True, timeout=PATIENCE).status_code == 200
    told = small.log[before:]
    assert told.count(FULL) == 1
    assert "ulimit -n" in told
    assert "Traceback" not in told
    assert len(told) < 5000


def test_the_scheduler_serves_who_is_connected_and_others_when_there_is_room(small) -> None:
    scheduler = small.children()["scheduler"]
    [port] = [
        int(arguments.split("--scheduler ")[1].split()[0].rpartition(":")[2])
        for _, arguments in small.parts()
        if "--listen-fd" in arguments
    ]
    start = f"{small.url('Functions')}{WEBHOOK}/orchestrators/waits"
    assert httpx.post(start, json=None).status_code == 202
    with exhausted(scheduler, port):
        small.wait_for_log(FULL)
        assert httpx.post(start, json=None).status_code == 202
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = stubs.TaskHubSidecarServiceStub(channel)
        found = stub.GetInstance(
            pb.GetInstanceRequest(instanceId="none"), timeout=PATIENCE, wait_for_ready=True
        )
    assert not found.exists
    assert "Traceback" not in small.log


def test_a_task_hub_that_cannot_be_opened_for_want_of_files_says_so(small) -> None:
    scheduler = small.children()["scheduler"]
    address = next(a for _, a in small.parts() if "--listen-fd" in a).split("--scheduler http://")
    with grpc.insecure_channel(address[1].split()[0]) as channel:
        stub = stubs.TaskHubSidecarServiceStub(channel)
        stub.Hello(pb.google_dot_protobuf_dot_empty__pb2.Empty())
        with exhausted(scheduler, port_of(small.url("Dashboard"))):
            small.wait_for_log(FULL)
            with pytest.raises(grpc.RpcError) as raised:
                create(stub)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "has no open files left" in raised.value.details()
        create(stub)


def create(stub) -> None:
    stub.CreateTaskHub(pb.CreateTaskHubRequest(), metadata=(("taskhub", "new"),), timeout=PATIENCE)


def limited(soft: str, *arguments: object) -> list[str]:
    return ["sh", "-c", f'ulimit {soft}; exec "$@"', "sh", *command(*arguments)]


@pytest.mark.parametrize("part", ["start", "scheduler", "host"])
def test_with_too_few_to_work_at_all_it_does_not_start_and_says_what_it_takes(
    tmp_path: Path, part: str
) -> None:
    where = ["--app", SMALL_APP] if part != "scheduler" else []
    ended = subprocess.run(
        limited("-n 20", part, *where, "--data", tmp_path / "data"),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert ended.returncode == 1
    assert "may have only 20 files" in ended.stderr
    assert "ulimit -n" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_each_part_may_have_as_many_as_the_system_lets_it(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    try:
        with runtime(tmp_path / "data") as service:
            limits = {
                resource.prlimit(pid, resource.RLIMIT_NOFILE)
                for pid in (*service.children().values(), service.process.pid)
            }
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert limits == {(hard, hard)}


def test_as_few_as_are_asked_for_are_enough(tmp_path: Path) -> None:
    with runtime(tmp_path / "data") as service:
        for pid in service.children().values():
            assert max(int(number) for number in os.listdir(f"/proc/{pid}/fd")) < LEAST
