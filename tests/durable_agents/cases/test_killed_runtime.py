"""The whole embedded runtime, killed with SIGKILL in the middle of runs and started again."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_agents import Agent, AgentFunctionApp, OpenAIChatClient, tool
from durable_agents.testing.functions import AppFunctions
from durable_agents.testing.replaying import deeds_of, recorded_turns, replayed_actions
from local_runtime.scheduler.storage import history
from tests.durable_agents.cases.whole_run import Effects, in_turn
from tests.durable_agents.scripted_model import Reply, Request, ScriptedModel, calls, says
from tests.end_to_end.runtime_process import WEBHOOK, Runtime

# Each starts the runtime two or three times.
# The same points are met in one go by tests/end_to_end/test_agent_kills.py.
pytestmark = [pytest.mark.crash, pytest.mark.soak, pytest.mark.timeout(240)]

APP = Path(__file__).parent / "app"
FAST, SLOW, WIRE = ("f", "fast", "{}"), ("s", "slow", "{}"), ("w", "wire", '{"to": "Bo"}')
RUN = "/api/agents/Ada/run"


class Killable(Runtime):
    """The runtime with the app of the cases, asked by HTTP."""

    async def again(self) -> None:
        """Kill all its processes, and start it again."""
        await self.kill_everything()
        await self.start()

    async def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request, again while nothing listens yet."""
        async with httpx.AsyncClient(base_url=self.base_url, timeout=60) as http:
            return await http.request(method, path, **request)

    async def recorded(self, run: str) -> int:
        """Return how many activities of a run have their result in its history."""
        status = await self.send("GET", f"{WEBHOOK}/instances/{run}?showHistory=true")
        events = status.json().get("historyEvents", [])
        return sum(event["EventType"] == "TaskCompleted" for event in events)

    async def answer(self, run: str) -> httpx.Response:
        """Wait for the end of a run, and return what it answers."""
        return await self.send("GET", f"/api/agents/Ada/runs/{run}?wait_seconds=60")


@asynccontextmanager
async def killable(folder: Path, model: ScriptedModel) -> AsyncGenerator[Killable]:
    settings = {
        "OPENAI_BASE_URL": f"{model.url}/v1",
        "OPENAI_MODEL": "small",
        "CASES_EFFECTS": str(folder / "effects"),
        "AGENT_RETRY_FIRST_INTERVAL_SECONDS": "0.05",
    }
    runtime = Killable(folder / "data", settings, APP)
    try:
        await runtime.start()
        yield runtime
    finally:
        await runtime.stop()
    await replay_all(folder / "data" / "default.taskhub.db")


async def replay_all(file: Path) -> None:
    """Replay all runs that a hub has stored, by an app of today."""

    @tool
    def fast() -> str:
        return ""

    client = OpenAIChatClient("small", base_url="http://127.0.0.1:9/v1")
    functions = AppFunctions(
        AgentFunctionApp([Agent(name="Ada", tools=(fast,))], chat_client=client)
    )
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        for (run,) in connection.execute("SELECT instance_id FROM instances").fetchall():
            events = [event for turn in history.read_turns(connection, run) for event in turn]
            for turn in recorded_turns(events):
                assert deeds_of(await replayed_actions(functions, turn, run), turn) == turn.deeds


async def seen(what: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not what():  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)


async def begun(runtime: Killable, **body: Any) -> str:
    """Begin a run and return its id."""
    sent = {"message": "First.", "wait_for_response": False, **body}
    answer = await runtime.send("POST", RUN, json=sent)
    assert answer.status_code == 202, answer.text
    return answer.json()["correlation_id"]


async def until_recorded(runtime: Killable, run: str, results: int) -> None:
    """Wait until so many results are in a run's history."""
    async with asyncio.timeout(60):
        while await runtime.recorded(run) < results:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.05)


async def test_kill_while_a_tool_runs_repeats_no_finished_call_and_the_session_goes_on(
    tmp_path: Path, model: ScriptedModel, effects: Effects
) -> None:
    """Case 15 (a) and (f)."""
    model.will(calls(FAST, SLOW), says("at last"), says("hello"))
    async with killable(tmp_path, model) as runtime:
        run = await begun(runtime, session_id="s")
        await seen(effects.file.with_suffix(".begun").exists)
        await until_recorded(runtime, run, 2)
        await runtime.again()
        effects.file.with_suffix(".go").touch()
        assert (await runtime.answer(run)).json()["response"] == "at last"
        second = await runtime.send("POST", RUN, json={"message": "Second.", "session_id": "s"})
    assert second.json()["response"] == "hello"
    assert effects.lines == ["fast", "slow"]
    assert len(model.requests) == 3
    said = [one["content"] for one in model.requests[-1].body["messages"]]
    assert said.count("Second.") == 1


async def test_approval_outlives_a_kill_and_no_call_runs_again(
    tmp_path: Path, model: ScriptedModel, effects: Effects
) -> None:
    """Case 19 (a)."""
    model.will(calls(FAST, WIRE), says("sent"))
    async with killable(tmp_path, model) as runtime:
        run = await begun(runtime)
        await until_recorded(runtime, run, 2)
        await runtime.again()
        (asked,) = (await runtime.send("GET", "/api/approvals")).json()["approvals"]
        assert asked["details"]["arguments"] == {"to": "Bo"}
        place = f"/api/approvals/{run}/{asked['request_id']}"
        assert (await runtime.send("POST", place, json={"approved": True})).status_code == 200
        assert (await runtime.answer(run)).json()["response"] == "sent"
        assert (await runtime.send("POST", place, json={"approved": True})).status_code == 409
    assert effects.lines == ["fast", "wire Bo"]
    results = [
        one["content"] for one in model.requests[1].body["messages"] if one["role"] == "tool"
    ]
    assert results == ["fast is done", "wired"]


async def test_client_that_drops_its_request_gets_the_same_run_by_its_key(
    tmp_path: Path, model: ScriptedModel, effects: Effects
) -> None:
    """Case 31 (b), with a kill between the client's attempts."""
    model.will(calls(SLOW), says("paid"))
    request = {"json": {"message": "Pay."}, "headers": {"Idempotency-Key": "order-1"}}
    async with killable(tmp_path, model) as runtime:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await runtime.send("POST", RUN, **request)
        await seen(effects.file.with_suffix(".begun").exists)
        await runtime.again()
        effects.file.with_suffix(".go").touch()
        same = [runtime.send("POST", RUN, **request) for _ in range(5)]
        again, *others = [answer.json() for answer in await asyncio.gather(*same)]
        after = (await runtime.send("POST", RUN, **request)).json()
        other = await runtime.send("POST", RUN, **{**request, "json": {"message": "Pay more."}})
    assert again["response"] == "paid"
    assert [*others, after] == [again] * 5
    assert other.status_code == 422
    assert effects.lines == ["slow"]
    assert len(model.requests) == 2


async def test_kill_in_the_middle_of_any_model_request_repeats_that_request_alone(
    tmp_path: Path, model: ScriptedModel, effects: Effects
) -> None:
    """Cases 13 and 31 (a): what has ended is never asked or done again."""
    effects.file.with_suffix(".go").touch()
    script = in_turn(calls(FAST), calls(SLOW, FAST), says("done"))
    silent = {1, 3, 5}  # a request in each turn is not answered: there the runtime is killed

    def respond(request: Request) -> Reply:
        return Reply(silent=True) if len(model.requests) in silent else script(request)

    model.respond = respond
    async with killable(tmp_path, model) as runtime:
        run = await begun(runtime)
        for number in sorted(silent):
            await seen(lambda number=number: len(model.requests) == number)
            await runtime.again()
        assert (await runtime.answer(run)).json()["response"] == "done"
    assert sorted(effects.lines) == ["fast", "fast", "slow"]
    assert len(model.requests) == 6
    bodies = [request.body for request in model.requests]
    assert [bodies[0], bodies[2], bodies[4]] == [bodies[1], bodies[3], bodies[5]]
