"""Events of a run: whoever listens, and whenever, gets all of them, once, and changes nothing."""

import json
from typing import Any

import pytest

from durable_agents import Agent, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, Host
from tests.durable_agents.scripted_model import ScriptedModel, calls, fails, says

CHARGE = ("c", "charge", '{"card": "1"}')


@pytest.fixture
def ada(effects: Effects) -> Agent:
    @tool
    def charge(card: str) -> str:
        effects.add(f"charge {card}")
        return "charged"

    return Agent(name="Ada", tools=(charge,))


class Listener:
    """Listens to the events of a run, as a browser does: again and again, from where it was."""

    def __init__(self, host: Host, run: str) -> None:
        self._host = host
        self._path = f"/api/agents/Ada/runs/{run}/events?wait_seconds=0"
        self.heard: list[tuple[int, str, Any]] = []

    async def listen(self) -> int:
        """Take what there is now; return the status of the answer."""
        headers = {"Last-Event-ID": str(self.heard[-1][0])} if self.heard else {}
        answer = await self._host.request("GET", self._path, headers=headers)
        if answer.status == 200:
            assert answer.headers["content-type"].startswith("text/event-stream")
            self.heard += parsed(answer.text)
        return answer.status

    @property
    def names(self) -> list[str]:
        """What has happened."""
        return [name for _, name, _ in self.heard]


def parsed(text: str) -> list[tuple[int, str, Any]]:
    """Return the events of a stream: id, name and data."""
    events: list[tuple[int, str, Any]] = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "id" in fields:
            events.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return events


async def test_listener_that_leaves_and_comes_back_misses_and_doubles_nothing(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 31 (c)."""
    model.will(calls(CHARGE), says("paid"))
    async with hosting(ada) as host:
        host.hold("charge")
        run = (await host.ask(wait_for_response=False)).json()["correlation_id"]
        first, second, third = (Listener(host, run) for _ in range(3))
        await first.listen()
        await second.listen()
        assert first.names[-1] == "tool.called"
        await host.release()
        for listener in (first, second, third):
            await listener.listen()
            assert await listener.listen() == 204
        # One turn for the start and one for each activity: listening adds none.
        assert host.find(run).turns == len(host.find(run).activities) + 1
    assert first.heard == second.heard == third.heard
    ids = [id for id, _, _ in third.heard]
    assert ids == sorted(set(ids))
    assert third.names[-1] == "finished"
    assert effects.lines == ["charge 1"]
    assert len(model.requests) == 2


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "\u0663", "1e3", " "])
async def test_listener_that_names_no_event_gets_all_or_is_told(
    hosting: Hosting, ada: Agent, model: ScriptedModel, last: str
) -> None:
    """Case 31 (c), the fourth listener."""
    async with hosting(ada) as host:
        run = (await host.answered())["correlation_id"]
        everything = Listener(host, run)
        await everything.listen()
        path = f"/api/agents/Ada/runs/{run}/events?wait_seconds=0"
        answer = await host.request("GET", path, headers={"Last-Event-ID": last})
    if answer.status == 200:
        assert parsed(answer.text) == everything.heard
    else:
        assert (answer.status, answer.json()["code"]) == (400, "InvalidInput")


async def test_stream_of_a_failed_run_ends_with_the_error(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 31 (c): an abrupt end never looks like success."""
    model.will(calls(CHARGE), fails(400, "bad"))
    async with hosting(ada) as host:
        run = (await host.problem())["correlation_id"]
        listener = Listener(host, run)
        await listener.listen()
    _, name, told = listener.heard[-1]
    assert (name, told["status"], told["code"]) == ("finished", "failed", "ModelRejected")
    assert told["cause"]


async def test_attempt_that_is_made_again_is_announced(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    """Of the kind of case 31 (c): what was said in a failed attempt is not glued on."""
    model.will(fails(500), says("At last."))
    async with hosting(ada) as host:
        run = (await host.answered())["correlation_id"]
        listener = Listener(host, run)
        await listener.listen()
    assert listener.names == [
        "turn.started",
        "turn.failed",
        "turn.started",
        "turn.finished",
        "finished",
    ]
    assert listener.heard[2][2]["attempt"] == 2


async def test_events_of_another_agents_run_are_not_found(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    async with hosting(ada, Agent(name="Bob")) as host:
        run = (await host.answered())["correlation_id"]
        answer = await host.request("GET", f"/api/agents/Bob/runs/{run}/events")
    assert answer.status == 404
