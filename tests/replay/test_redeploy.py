"""The code changes while an instance waits, in the whole runtime: nothing is asked for twice."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.durable_agents.scripted_model import ScriptedModel, fails, says
from tests.ports import free_port

# Each starts the runtime two or three times.
pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]
WEBHOOK = "/runtime/webhooks/durabletask"
APP = """
import sys
sys.path.insert(0, {root!r})
from datetime import timedelta
from durabletask.task import RetryPolicy
from pydantic import BaseModel
from durable_agents import chat_client_from_environment
from tests.replay.flows import create_app

class City(BaseModel):
    name: str
    people: int
    {field}

app = create_app(chat_client_from_environment(), city=City, {changed})
"""


@asynccontextmanager
async def running(folder: Path, model: ScriptedModel, **env: str) -> AsyncIterator[Any]:
    ports = [str(free_port()) for _ in range(3)]
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "local_runtime", "start", "--app", str(folder / "app")],
        *["--data", str(folder / "data"), "--port", ports[0]],
        *["--scheduler-port", ports[1], "--dashboard-port", ports[2]],
        cwd=ROOT,
        env={**os.environ, "OPENAI_BASE_URL": f"{model.url}/v1", "OPENAI_MODEL": "small", **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while b"Stop with Ctrl-C" not in await process.stdout.readline():
                assert process.returncode is None
        base = f"http://127.0.0.1:{ports[0]}{WEBHOOK}"
        async with httpx.AsyncClient(base_url=base, timeout=60) as http:
            yield http
    finally:
        process.terminate()
        await process.wait()


def deploy(folder: Path, field: str = "", changed: str = "") -> None:
    (folder / "app").mkdir(exist_ok=True)
    (folder / "app" / "host.json").write_text('{"version": "2.0"}')
    code = APP.format(root=str(ROOT), field=field, changed=changed)
    (folder / "app" / "function_app.py").write_text(code)


async def seen(http: httpx.AsyncClient, path: str, *statuses: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            status: dict[str, Any] = (await http.get(path)).json()
            kinds = [event["EventType"] for event in status.get("historyEvents", [])]
            if status.get("runtimeStatus") in statuses and "TaskScheduled" not in kinds[1:]:
                return status


async def wait_for_the_event(http: httpx.AsyncClient, model: ScriptedModel) -> None:
    """Start the flow, and return when it has its accepted answer and waits."""
    model.will(says("Paris!"), says('{"name": "Paris", "people": 1}'), says("Large."))
    (await http.post("/orchestrators/structured/i1", json="Which?")).raise_for_status()
    async with asyncio.timeout(60):
        while len(model.requests) < 2:
            await http.get("/instances/i1")
    await seen(http, "/instances/i1?showHistory=true", "Running")


async def test_class_that_grows_while_the_instance_waits_costs_no_second_answer(
    tmp_path: Path,
) -> None:
    async with ScriptedModel() as model:
        deploy(tmp_path)
        async with running(tmp_path, model) as http:
            await wait_for_the_event(http, model)
        deploy(tmp_path, 'country: str = "?"', "corrections=0")
        async with running(tmp_path, model) as http:
            (await http.post("/instances/i1/raiseEvent/go", json="")).raise_for_status()
            status = await seen(http, "/instances/i1", "Completed", "Failed")
    assert status["output"] == ["Paris", 36, "Large."]
    assert len(model.requests) == 3


async def test_answer_that_no_longer_fits_is_kept_and_a_rewind_goes_on_with_it(
    tmp_path: Path,
) -> None:
    async with ScriptedModel() as model:
        deploy(tmp_path)
        async with running(tmp_path, model) as http:
            await wait_for_the_event(http, model)
        deploy(tmp_path, "country: str")
        async with running(tmp_path, model) as http:
            (await http.post("/instances/i1/raiseEvent/go", json="")).raise_for_status()
            failed = await seen(http, "/instances/i1", "Completed", "Failed")
            assert "country: Field required" in failed["output"]
            assert "the code changed under a live instance" in failed["output"]
        deploy(tmp_path, 'country: str = "?"')
        async with running(tmp_path, model) as http:
            (await http.post("/instances/i1/rewind")).raise_for_status()
            status = await seen(http, "/instances/i1", "Completed")
    assert status["output"] == ["Paris", 36, "Large."]
    assert len(model.requests) == 3


async def test_retries_go_on_by_the_rules_of_before_the_restart(tmp_path: Path) -> None:
    async with ScriptedModel() as model:
        model.will(fails(500), says("One."), says("Two."))
        deploy(tmp_path)
        async with running(tmp_path, model, AGENT_RETRY_FIRST_INTERVAL_SECONDS="4") as http:
            (await http.post("/orchestrators/retried/i1", json="Hello?")).raise_for_status()
            async with asyncio.timeout(60):
                while not model.requests:
                    await http.get("/instances/i1")
            await seen(http, "/instances/i1?showHistory=true", "Running")
        once = "RetryPolicy(first_retry_interval=timedelta(hours=1), max_number_of_attempts=1)"
        deploy(tmp_path, changed=f"retry={once}")
        async with running(tmp_path, model) as http:
            status = await seen(http, "/instances/i1", "Completed", "Failed")
    assert status["output"] == "Two."
    assert len(model.requests) == 3
