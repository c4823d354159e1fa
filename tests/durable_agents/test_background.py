"""Responses that a model's server makes in the background: begun, asked for, lost, stopped."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from durable_agents import Agent, Message, OpenAIResponsesClient, tool
from durable_agents.messages import RunRequest
from tests.durable_agents.cases.whole_run import Host, hosted
from tests.durable_agents.scripted_model import Reply, Request, ScriptedModel, fails, responds

WORKING = responds(status="in_progress", output=[], usage=None)


class Server:
    """A stand-in of the Responses API: it keeps, loses and finishes what it was asked for."""

    def __init__(self) -> None:
        self.begun = 0
        self.looked: list[str] = []
        self.stopped: list[str] = []
        self.ready_after = 2
        self.lost: set[str] = set()
        self.failing_looks = 0
        self.answers: list[tuple[str, tuple[str, str, str] | None]] = [("Done.", None)]

    def reply(self, request: Request) -> Reply:
        if request.method == "POST" and request.path.endswith("/responses"):
            self.begun += 1
            return responds(id=f"resp_{self.begun}", status="queued", output=[], usage=None)
        name = request.path.split("/")[3]
        if request.path.endswith("/cancel"):
            self.stopped.append(name)
            return responds(id=name, status="cancelled")
        self.looked.append(name)
        if name in self.lost:
            return fails(404)
        if self.failing_looks:
            self.failing_looks -= 1
            return fails(500)
        if self.looked.count(name) <= self.ready_after:
            return WORKING
        text, call = self.answers[min(int(name[5:]), len(self.answers)) - 1]
        return responds(text, *([call] if call else []), id=name)


@pytest.fixture
def server(model: ScriptedModel) -> Server:
    server = Server()
    model.respond = server.reply
    return server


@pytest.fixture
async def client(model: ScriptedModel) -> AsyncIterator[OpenAIResponsesClient]:
    client = OpenAIResponsesClient(
        "small", api_key="key-1", base_url=f"{model.url}/v1", timeout=5, background=True
    )
    yield client
    await client.close()


def ada(client: Any, **settings: Any) -> Agent:
    return Agent(name="Ada", instructions="You are Ada.", chat_client=client, **settings)


async def test_answer_is_asked_for_until_it_is_there(client: Any, server: Server) -> None:
    async with hosted(ada(client)) as host:
        answer = await host.answered()
    assert answer["response"] == "Done."
    assert answer["usage"]["total_tokens"] == 18
    assert (server.begun, server.looked) == (1, ["resp_1"] * 3)


@pytest.mark.parametrize("step", range(1, 9))
async def test_kill_at_any_step_makes_no_second_request(
    client: Any, server: Server, step: int
) -> None:
    given = RunRequest(agent="Ada", messages=(Message.of("user", "Go."),))
    async with hosted(ada(client), kill_after=step) as host:
        run = await host.run("run-Ada", given.model_dump(mode="json", exclude_defaults=True))
    assert run.output["text"] == "Done."
    assert server.begun == 1
    assert "repeated_calls" not in run.output["usage"]


async def test_lost_response_is_asked_for_again_once_and_marked(
    client: Any, server: Server
) -> None:
    server.lost = {"resp_1"}
    async with hosted(ada(client)) as host:
        answer = await host.answered()
    assert (answer["response"], server.begun) == ("Done.", 2)
    assert answer["usage"]["repeated_calls"] == 1


async def test_response_that_is_lost_twice_fails_the_run(client: Any, server: Server) -> None:
    server.lost = {"resp_1", "resp_2"}
    async with hosted(ada(client)) as host:
        problem = await host.problem()
    assert problem["code"] == "ResponseLost"
    assert (server.begun, problem["usage"]["repeated_calls"]) == (2, 1)


async def test_server_that_cannot_be_asked_just_now_is_asked_later(
    client: Any, server: Server
) -> None:
    server.failing_looks = 2
    async with hosted(ada(client)) as host:
        answer = await host.answered()
    assert (answer["response"], server.begun) == ("Done.", 1)


async def test_each_turn_with_tools_is_begun_once(client: Any, server: Server) -> None:
    @tool
    def stock(item: str) -> int:
        """How many there are."""
        return 7

    server.answers = [("Let me look.", ("a", "stock", '{"item": "nut"}')), ("Seven.", None)]
    async with hosted(ada(client, tools=[stock])) as host:
        answer = await host.answered()
    assert (answer["response"], server.begun) == ("Seven.", 2)
    assert answer["usage"]["total_tokens"] == 36


async def begun(host: Host, server: Server) -> str:
    """Start a run and return its id when the server works on it."""
    server.ready_after = 10**6
    answer = await host.ask(wait_for_response=False)
    async with asyncio.timeout(10):
        while not server.looked:
            await host.advance(seconds=1)
    return answer.json()["correlation_id"]


async def test_cancelled_run_stops_the_server_and_counts_what_it_used(
    client: Any, server: Server
) -> None:
    async with hosted(ada(client)) as host:
        run = await begun(host, server)
        cancelled = await host.request("DELETE", f"/api/agents/Ada/runs/{run}")
        assert cancelled.json()["status"] == "cancelled"
        problem = (await host.request("GET", f"/api/agents/Ada/runs/{run}")).json()
    assert server.stopped == ["resp_1"]
    assert problem["usage"]["total_tokens"] == 18


async def test_run_whose_time_is_over_stops_the_server(client: Any, server: Server) -> None:
    server.ready_after = 10**6
    async with hosted(ada(client)) as host:
        problem = await host.problem(timeout=60)
    assert problem["code"] == "AgentTimeout"
    assert server.stopped == ["resp_1"]
