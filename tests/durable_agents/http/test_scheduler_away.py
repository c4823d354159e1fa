"""While the scheduler is away or hangs, each route answers 503 within a bounded time."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import azure.functions as func
import grpc
import grpc.aio
import pytest
from durabletask.client import AsyncTaskHubGrpcClient
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs

from durable_agents.durable_clients import register_factory
from durable_agents.http import scheduler_calls
from durable_agents.testing import ScriptedModel
from durable_agents.testing.functions import HTTP, AppFunctions
from durable_agents.testing.http_requests import Answer, answer_of, find_route, http_request
from tests.durable_agents.http.office import make_app, require_problem

ROUTES = [
    ("POST", "agents/Ada/run"),
    ("GET", "agents/Ada/runs/x"),
    ("GET", "agents/Ada/runs/x?wait_seconds=200"),
    ("DELETE", "agents/Ada/runs/x"),
    ("GET", "agents/Ada/runs/x/events"),
    ("GET", "agents/Ada/sessions/s"),
    ("DELETE", "agents/Ada/sessions/s"),
    ("POST", "agents/Ada/sessions/s/reset"),
    ("GET", "approvals"),
    ("POST", "approvals/x/y"),
]


class Silent(stubs.TaskHubSidecarServiceServicer):
    """A scheduler that takes calls and answers none."""

    def __getattribute__(self, name: str) -> Any:
        if not name[0].isupper():
            return super().__getattribute__(name)

        async def never(request: Any, context: Any) -> None:
            await asyncio.Event().wait()

        return never


class Going(stubs.TaskHubSidecarServiceServicer):
    """A scheduler that takes a start, and goes away while its end is waited for."""

    async def StartInstance(self, request: Any, context: Any) -> Any:
        return pb.CreateInstanceResponse(instanceId=request.instanceId)

    async def WaitForInstanceCompletion(self, request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "away")


@asynccontextmanager
async def serving(scheduler: Any) -> AsyncIterator[str]:
    server = grpc.aio.server()
    stubs.add_TaskHubSidecarServiceServicer_to_server(scheduler, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
async def hung() -> AsyncIterator[str]:
    async with serving(Silent()) as address:
        yield address


async def ask(address: str, verb: str, path: str) -> Answer:
    """Send a request to an app whose scheduler is at an address."""
    functions = AppFunctions(make_app(ScriptedModel()))
    client = AsyncTaskHubGrpcClient(host_address=address)
    register_factory(f"at {address}", lambda: client)
    function, route = find_route(functions, "api", verb, f"/api/{path}")
    assert function in functions.of_kind(HTTP)
    request: func.HttpRequest = http_request(
        verb, f"/api/{path}", route, json_body={"message": "Hi"}, body=None, headers={}, params={}
    )
    user: Any = function.code
    try:
        return answer_of(await user(req=request, client=f"at {address}"))
    finally:
        await client.close()


@pytest.mark.parametrize(("verb", "path"), ROUTES)
async def test_a_scheduler_that_hangs_is_503_in_time(
    verb: str, path: str, hung: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_calls, "CALL_SECONDS", 0.2)
    monkeypatch.setattr("durable_agents.http.approvals._LIST_SECONDS", 0.2)
    begun = time.monotonic()
    answer = await ask(hung, verb, path)
    require_problem(answer, 503, "SchedulerUnavailable")
    assert answer.headers["retry-after"]
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(("verb", "path"), ROUTES)
async def test_a_scheduler_that_is_away_is_503(verb: str, path: str) -> None:
    answer = await ask("127.0.0.1:1", verb, path)
    problem = require_problem(answer, 503, "SchedulerUnavailable")
    # A start that may have been recorded says where it would be.
    assert ("correlation_id" in problem) == (path == "agents/Ada/run")


async def test_health_says_within_two_seconds_that_the_scheduler_hangs(hung: str) -> None:
    begun = time.monotonic()
    answer = await ask(hung, "GET", "health")
    assert time.monotonic() - begun < 2
    assert (answer.status, answer.json()["status"]) == (503, "unavailable")
    assert answer.json()["models"] == ["scripted"]


async def test_health_says_that_the_scheduler_is_away() -> None:
    answer = await ask("127.0.0.1:1", "GET", "health")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


async def test_a_run_that_was_accepted_is_202_though_the_scheduler_goes_away() -> None:
    async with serving(Going()) as address:
        answer = await ask(address, "POST", "agents/Ada/run")
        assert (answer.status, answer.json()["status"]) == (202, "running")
        assert answer.headers["location"].endswith(answer.json()["correlation_id"])
