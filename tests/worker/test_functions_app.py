"""Runs that a client begins in a Functions app: there as well the agent says how it is called."""

from datetime import timedelta
from pathlib import Path

import pytest
from durabletask.client import TaskHubGrpcClient
from durabletask.task import RetryPolicy

from durable_agents import Agent, AgentFunctionApp, RunLimits
from durable_agents.messages import Message, RunRequest
from durable_agents.testing import DurableTest, ScriptedModel, calls
from durable_agents.worker import AgentClient
from tests.service import runtime

APP = Path(__file__).parent / "app"
TWICE = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=2)


def look() -> str:
    """Look."""
    return "seen"


async def test_a_run_goes_by_the_rules_that_its_first_step_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The SDK's codec reads only types that were asked for; its other way warns.
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "1")
    model = ScriptedModel([calls("look")])
    limited = Agent(name="Scout", tools=[look], limits=RunLimits(turns=1), retry=TWICE)
    request = RunRequest(
        agent="Scout", messages=(Message.of("user", "go"),), unset=("policy", "limits", "output")
    )
    app = AgentFunctionApp([limited], chat_client=model)
    async with DurableTest(app, models=[model]) as host:
        run = await host.run("run-Scout", request.model_dump(mode="json", exclude_defaults=True))
        assert run.status == "Failed"
        assert "no answer after 1 turns" in str(run.failure)
        assert await host.replay() == []


def test_a_client_calls_the_agents_of_a_functions_host(tmp_path: Path) -> None:
    # The hub's name is in the app's host.json.
    hub = [("taskhub", "clients")]
    with (
        runtime(tmp_path, APP) as service,
        TaskHubGrpcClient(host_address=service.url("Scheduler"), metadata=hub) as client,
    ):
        agent = AgentClient(client).get_agent("Echo")
        first = agent.run("one", session="s", timeout=30)
        second = agent.run("two", session="s", timeout=30)
    assert (first.text, second.text) == ("one", "one | two")
