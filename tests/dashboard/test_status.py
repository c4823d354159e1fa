"""What goes on in the background is seen: GET /status, the page of a hub, and `status`."""

import asyncio
import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from playwright.async_api import Page, expect

from local_runtime.clock import SystemClock
from local_runtime.scheduler.client import SchedulerClient
from tests.ports import free_port
from tests.service import Service, run, started

MARKUP = "<img src=x onerror=document.title=1>"
PAGE = "/hubs/default/workers"


def ports_of(service: Service) -> list[str]:
    dashboard = service.url("Dashboard").rpartition(":")[2]
    return ["--dashboard-port", dashboard, "--port", service.url("Functions").rpartition(":")[2]]


def until_set_aside(url: str) -> dict:
    while not (found := httpx.get(f"{url}/status").json())["hubs"][0]["setAside"]:
        pass
    return found


@contextlib.contextmanager
def scheduler(data: Path) -> Iterator[tuple[str, str]]:
    """A scheduler alone: its address, and its dashboard's."""
    ports = ["--grpc-port", 0, "--dashboard-port", 0]
    with started("scheduler", *ports, "--data", data) as service:
        address = service.wait_for_log(r"scheduler at (http://\S+)")[0]
        yield address, service.wait_for_log(r"dashboard at (http://\S+)")[0]


async def start_later(address: str, instance_id: str) -> None:
    at = Timestamp()
    at.FromDatetime(datetime(2300, 1, 1, tzinfo=UTC))
    async with SchedulerClient.open(address, "default") as client:
        request = pb.CreateInstanceRequest(
            instanceId=instance_id, name="flow", scheduledStartTimestamp=at
        )
        await client.stub.StartInstance(request, metadata=client.metadata)


@pytest.fixture
def broken(tmp_path) -> Iterator[str]:
    """The dashboard of a hub with a row that is due and cannot be read."""
    with scheduler(tmp_path) as (address, _):
        asyncio.run(start_later(address, MARKUP))
    with contextlib.closing(sqlite3.connect(tmp_path / "default.taskhub.db")) as connection:
        connection.execute("UPDATE delayed SET due_at = 1, event = x'ffff'")
        connection.commit()
    with scheduler(tmp_path) as (_, url):
        until_set_aside(url)
        yield url


def test_status_lists_the_background_tasks_and_what_waits(dashboard) -> None:
    status = dashboard.get("/status").json()
    [hub] = [hub for hub in status["hubs"] if hub["name"] == "default"]
    assert (status["state"], status["problems"]) == ("ok", [])
    assert {"orchestration", "activity", "entity"} == set(hub["waiting"])
    tasks = {task["name"]: task for task in hub["backgroundTasks"]}
    assert {"timers", "housekeeping"} <= set(tasks)
    assert all(task["state"] == "running" for task in tasks.values())
    assert all(task["failures"] == 0 and task["failedAt"] is None for task in tasks.values())
    since = datetime.fromisoformat(tasks["timers"]["since"])
    assert timedelta(0) <= SystemClock().now() - since < timedelta(hours=1)
    assert hub["disk"] == {"works": True, "problem": ""}


def test_the_command_says_that_all_is_well(service) -> None:
    said = run("status", *ports_of(service))
    assert said.returncode == 0, said.stdout + said.stderr
    assert "All is well." in said.stdout
    assert re.search(r"timers +running", said.stdout)
    assert re.search(r"pulling work +running", said.stdout)
    found = json.loads(run("status", "--json", *ports_of(service)).stdout)
    assert found["state"] == "ok"
    assert found["host"]["backgroundTasks"][0]["name"] == "pulling work"


def test_the_command_says_that_nothing_runs() -> None:
    first, second = free_port(), free_port()
    said = run("status", "--dashboard-port", first, "--port", second)
    assert said.returncode == 1
    assert f"nothing runs on port {first}" in said.stdout
    assert f"nothing runs on port {second}" in said.stdout
    assert "Traceback" not in said.stderr


def test_the_command_does_not_take_another_program_for_the_runtime(service) -> None:
    [_, dashboard, _, host] = ports_of(service)
    said = run("status", "--dashboard-port", host, "--port", dashboard)
    assert said.returncode == 1
    assert said.stdout.count("what answers on port") == 2


def test_a_row_that_is_set_aside_is_a_problem(broken: str) -> None:
    status = httpx.get(f"{broken}/status").json()
    [row] = status["hubs"][0]["setAside"]
    assert (row["what"], row["targetId"]) == ("delayed message", MARKUP)
    assert row["why"] == "its checksum is wrong"
    [trouble] = status["hubs"][0]["troubles"]
    assert trouble["targetId"] == MARKUP
    assert status["state"] == "broken"
    # What cannot be read has not ended the task that came across it.
    assert {task["failures"] for task in status["hubs"][0]["backgroundTasks"]} == {0}
    said = run("status", "--dashboard-port", broken.rpartition(":")[2], "--port", free_port())
    assert said.returncode == 1
    assert "1 row(s) of its file cannot be read" in said.stdout


def test_the_page_shows_text_as_text_and_what_is_empty_as_such(broken: str) -> None:
    text = httpx.get(broken + PAGE).text
    assert "&lt;img src=x onerror=document.title=1&gt;" in text
    assert "<img" not in text
    assert "No worker is connected" in text
    assert "its data in the table delayed is damaged" in text


def test_the_page_of_a_hub_that_is_not_there_is_a_404(dashboard) -> None:
    assert dashboard.get("/hubs/nowhere/workers").status_code == 404


@pytest.mark.browser
async def test_a_link_leads_to_the_page_which_keeps_itself_up_to_date(page: Page, service) -> None:
    async with SchedulerClient.open(service.url("Scheduler"), "idle") as client:
        request = pb.CreateInstanceRequest(instanceId="first", name="nobody-runs-it")
        await client.stub.StartInstance(request, metadata=client.metadata)
        await page.goto("/hubs/idle")
        await page.get_by_role("link", name="Workers and tasks").click()
        await expect(page.get_by_role("cell", name="timers")).to_be_visible()
        waiting = page.locator("dl.facts div", has_text="orchestration").locator("dd")
        await expect(waiting).to_have_text("1")
        request.instanceId = "second"
        await client.stub.StartInstance(request, metadata=client.metadata)
        await expect(waiting).to_have_text("2")
