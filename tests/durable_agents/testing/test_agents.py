"""Agents run in the kit as they are deployed: tools, sessions and HTTP routes."""

from collections.abc import AsyncIterator

import pytest

from durable_agents import Agent, AgentFunctionApp, tool
from durable_agents.testing import DurableTest, ScriptedModel, calls, fails


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


MODEL_REPLIES = ["Hello!", calls(("add", {"a": 1, "b": 2})), "It is 3."]


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture
async def host(model: ScriptedModel) -> AsyncIterator[DurableTest]:
    app = AgentFunctionApp([Agent(name="Ada", tools=[add], chat_client=model)])
    async with DurableTest(app) as running:
        yield running


async def ask(host: DurableTest, message: str, **fields: object) -> dict[str, object]:
    body = {"message": message, "session_id": "s", **fields}
    answer = await host.request("POST", "/api/agents/Ada/run", json=body)
    assert answer.status == 200, answer.text
    return answer.json()


async def test_session_is_carried_on_over_http(host: DurableTest, model: ScriptedModel) -> None:
    model.will(*MODEL_REPLIES)
    assert (await ask(host, "Hi"))["response"] == "Hello!"
    assert (await ask(host, "1 + 2?"))["response"] == "It is 3."
    said = [message["content"] for message in model.bodies[-1]["messages"]]
    assert said == ["Hi", "Hello!", "1 + 2?", None, "3"]
    assert await host.replay() == []


async def test_run_without_waiting_is_fetched_later(
    host: DurableTest, model: ScriptedModel
) -> None:
    model.will("Hello!")
    host.takes("Ada", 600)
    headers = {"x-ms-wait-for-response": "false"}
    begun = await host.request(
        "POST", "/api/agents/Ada/run", json={"message": "Hi"}, headers=headers
    )
    assert begun.status == 202
    place = begun.headers["location"].partition("7071")[2] or begun.headers["location"]
    assert (await host.request("GET", place)).status == 202
    await host.advance(minutes=10)
    assert (await host.request("GET", place)).json()["response"] == "Hello!"


async def test_failed_model_is_a_problem_over_http(host: DurableTest, model: ScriptedModel) -> None:
    model.will(fails(401))
    answer = await host.request("POST", "/api/agents/Ada/run", json={"message": "Hi"})
    assert answer.status >= 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("step", range(1, 30, 4))
async def test_kill_at_any_step_of_a_session_asks_and_adds_once(step: int) -> None:
    model = ScriptedModel(MODEL_REPLIES)
    app = AgentFunctionApp([Agent(name="Ada", tools=[add], chat_client=model)])

    @app.orchestration_trigger(context_name="context")
    def talks(context: object) -> object:
        ada = app.get_agent(context, "Ada")  # pyright: ignore
        session = ada.create_session()
        first = yield ada.run("Hi", session=session)
        second = yield ada.run("1 + 2?", session=session)
        return [first.text, second.text]

    async with DurableTest(app, kill_after=step) as host:
        run = await host.run("talks")
        assert run.output == ["Hello!", "It is 3."]
        assert run.activities.count("add") == 1
        assert await host.replay() == []
    assert len(model.requests) == 3
