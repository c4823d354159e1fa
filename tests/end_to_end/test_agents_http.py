"""Agents over HTTP in the whole runtime: stopped, dropped, killed, crowded, and asked oddly."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from durabletask.client import AsyncTaskHubGrpcClient

from tests.durable_agents.scripted_model import Reply, Request, ScriptedModel, calls, says

from .runtime_process import ROOT, WEBHOOK, Runtime, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

APP = ROOT / "tests" / "apps" / "agents_http"
DRIP = Reply(endless=b" ", pause=0.02)


def answer(request: Request) -> Reply:
    """Answer by what is asked: `drip` never ends, `pay X` calls a tool, the rest is said back."""
    messages = request.body["messages"]
    asked = [one["content"] for one in messages if one["role"] == "user"][-1]
    if messages[-1]["role"] == "tool":
        return says("paid")
    word, _, rest = asked.partition(" ")
    match word:
        case "drip":
            return DRIP
        case "pay" | "slow" | "transfer":
            given = {"pay": ("charge", f'{{"card": "{rest}"}}'), "slow": ("slow", "{}")}
            name, arguments = given.get(word, ("transfer", f'{{"to": "{rest}"}}'))
            return calls(("c1", name, arguments))
        case _:
            return says(f"you said {asked[:100]}")


class World:
    """A runtime, its model, and the client that asks it."""

    def __init__(self, runtime: Runtime, model: ScriptedModel, http: httpx.AsyncClient) -> None:
        self.runtime, self.model, self.http = runtime, model, http

    async def post(self, message: str, agent: str = "Ada", **more: Any) -> httpx.Response:
        headers = more.pop("headers", None)
        body = {"message": message, **more}
        return await self.http.post(f"/api/agents/{agent}/run", json=body, headers=headers)

    async def begin(self, message: str, **more: Any) -> str:
        """Begin a run, and wait until its model has been asked."""
        self.model.asked.clear()
        reply = await self.post(message, wait_for_response=False, **more)
        assert reply.status_code == 202, reply.text
        await asyncio.wait_for(self.model.asked.wait(), 30)
        return reply.json()["correlation_id"]

    async def ended(self, run: str, agent: str = "Ada") -> httpx.Response:
        """Wait for the end of a run, through every loss of the host."""
        while True:
            with contextlib.suppress(httpx.HTTPError):
                reply = await self.http.get(f"/api/agents/{agent}/runs/{run}?wait_seconds=30")
                if reply.status_code not in (202, 503):
                    return reply
            await asyncio.sleep(0.1)  # nothing listens, or the scheduler is not back yet

    def effects(self) -> list[str]:
        file = self.runtime.data.parent / "effects"
        return file.read_text().splitlines() if file.exists() else []


@contextlib.asynccontextmanager
async def world_in(folder: Path) -> AsyncIterator[World]:
    async with ScriptedModel() as model:
        model.respond = answer
        settings = {
            "OPENAI_BASE_URL": f"{model.url}/v1",
            "OPENAI_API_KEY": "test",
            "OPENAI_MODEL": "test-model",
            "EFFECTS": str(folder / "effects"),
        }
        async with (
            running(folder / "data", APP, **settings) as runtime,
            httpx.AsyncClient(base_url=runtime.base_url, timeout=100) as http,
        ):
            yield World(runtime, model, http)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world_in(tmp_path_factory.mktemp("agents")) as found:
        yield found


async def test_a_cancel_closes_the_socket_of_a_dripping_model_within_a_second(world: World) -> None:
    before = world.model.departures
    run = await world.begin("drip", session_id="dripping")
    begun = time.monotonic()
    cancelled = await world.http.delete(f"/api/agents/Ada/runs/{run}")
    await asyncio.wait_for(world.model.after_departures(before + 1), 10)
    assert time.monotonic() - begun < 1
    assert cancelled.json() | {"usage": {}} == {
        "correlation_id": run,
        "status": "cancelled",
        "usage": {},
    }
    # The session is not left behind.
    again = await world.post("hello", session_id="dripping")
    assert again.json()["response"] == "you said hello"


async def test_a_cancel_during_a_tool_does_not_wait_for_it(world: World) -> None:
    run = await world.begin("slow")
    begun = time.monotonic()
    cancelled = await world.http.delete(f"/api/agents/Ada/runs/{run}")
    assert cancelled.json()["status"] == "cancelled"
    assert time.monotonic() - begun < 10
    assert (await world.ended(run)).status_code == 409


@pytest.mark.parametrize("with_children", [True, False])
async def test_a_flow_that_is_terminated_closes_the_sockets_of_all_its_agents(
    world: World, with_children: bool
) -> None:
    before, asked = world.model.departures, len(world.model.requests)
    started = await world.http.post(f"{WEBHOOK}/orchestrators/fan_out", json=None)
    flow = started.json()["id"]
    while len(world.model.requests) < asked + 3:
        world.model.asked.clear()
        await asyncio.wait_for(world.model.asked.wait(), 30)
    if with_children:  # as the SDK's clients do it
        address = f"127.0.0.1:{world.runtime.grpc_port}"
        async with AsyncTaskHubGrpcClient(host_address=address) as client:
            await client.terminate_orchestration(flow)
    else:  # the webhook leaves children alone, as on Azure: their calls see that nobody waits
        path = f"{WEBHOOK}/instances/{flow}/terminate?reason=enough"
        (await world.http.post(path)).raise_for_status()
    await asyncio.wait_for(world.model.after_departures(before + 3), 10)


async def test_31_b_a_client_that_drops_its_post_and_repeats_it_meets_the_same_run(
    world: World,
) -> None:
    headers = {"idempotency-key": "pay-once"}
    asking = asyncio.create_task(world.post("pay once", headers=headers))
    await asyncio.wait_for(world.model.asked.wait(), 30)
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    replies = await asyncio.gather(*(world.post("pay once", headers=headers) for _ in range(5)))
    assert {reply.json()["response"] for reply in replies} == {"paid"}
    assert len({reply.json()["correlation_id"] for reply in replies}) == 1
    assert world.effects().count("once") == 1
    other = await world.post("pay twice", headers=headers)
    assert other.status_code == 422


async def test_one_key_from_many_clients_at_once_makes_one_run(world: World) -> None:
    headers = {"idempotency-key": "all-at-once"}
    replies = await asyncio.gather(*(world.post("pay many", headers=headers) for _ in range(20)))
    assert [reply.status_code for reply in replies] == [200] * 20
    assert len({reply.json()["correlation_id"] for reply in replies}) == 1
    assert world.effects().count("many") == 1


async def test_50_messages_to_one_busy_session_are_answered_in_the_order_of_their_arrival(
    world: World,
) -> None:
    holder = await world.begin("drip", session_id="crowd")
    runs: list[str] = []
    for number in range(50):
        reply = await world.post(
            f"m{number}", session_id="crowd", on_busy="queue", wait_for_response=False
        )
        runs.append(reply.json()["correlation_id"])
    await world.http.delete(f"/api/agents/Ada/runs/{holder}")
    answers = await asyncio.gather(*(world.ended(run) for run in runs))
    assert [one.json()["response"] for one in answers] == [f"you said m{n}" for n in range(50)]
    session = (await world.http.get("/api/agents/Ada/sessions/crowd")).json()
    said = [turn["messages"][0]["text"] for turn in session["turns"]]
    assert said == ["drip", *(f"m{number}" for number in range(50))]


async def test_50_concurrent_messages_to_one_session_are_answered_in_the_order_of_their_arrival(
    world: World,
) -> None:
    replies = await asyncio.gather(
        *(world.post(f"c{number}", session_id="rush", on_busy="queue") for number in range(50))
    )
    assert [reply.json()["response"] for reply in replies] == [f"you said c{n}" for n in range(50)]
    address = f"127.0.0.1:{world.runtime.grpc_port}"
    async with AsyncTaskHubGrpcClient(host_address=address) as client:
        arrived: list[tuple[Any, str]] = []
        for reply in replies:
            state = await client.get_orchestration_state(reply.json()["correlation_id"])
            assert state is not None
            arrived.append((state.created_at, reply.json()["correlation_id"]))
    session = (await world.http.get("/api/agents/Ada/sessions/rush")).json()
    assert [turn["id"] for turn in session["turns"]] == [run for _, run in sorted(arrived)]


async def test_events_are_followed_by_a_browsers_rules(world: World) -> None:
    run = await world.begin("pay events")
    last, lines = "0", []
    while True:
        headers = {"last-event-id": last}
        reply = await world.http.get(f"/api/agents/Ada/runs/{run}/events", headers=headers)
        if reply.status_code == 204:
            break
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines += [one for one in reply.text.splitlines() if one.startswith(("id", "event"))]
        last = ([one[4:] for one in lines if one.startswith("id: ")] or ["0"])[-1]
    whole = await world.http.get(f"/api/agents/Ada/runs/{run}/events?until=finished")
    assert [one for one in whole.text.splitlines() if one.startswith(("id", "event"))] == lines
    assert [one[7:] for one in lines if one.startswith("event")] == [
        *["turn.started", "turn.finished", "tool.called", "tool.result"],
        *["turn.started", "turn.finished", "finished"],
    ]


async def test_an_approval_is_listed_and_answered(world: World) -> None:
    run = await world.begin("transfer bob")
    rows: list[dict[str, Any]] = []
    while not rows:
        listed = await world.http.get("/api/approvals", params={"instance_id": run})
        rows = listed.json()["approvals"]
    wrong = await world.http.post(rows[0]["answer_url"], json={"approved": "yes"})
    assert wrong.status_code == 422
    right = await world.http.post(rows[0]["answer_url"], json={"approved": True})
    assert right.status_code == 200, right.text
    assert (await world.ended(run)).json()["response"] == "paid"
    again = await world.http.post(rows[0]["answer_url"], json={"approved": True})
    assert again.status_code == 409
    assert world.effects().count("bob") == 1


async def test_odd_ids_and_bodies_are_answered_as_in_the_kit(world: World) -> None:
    await world.post("hi", session_id="a/b c@d?#")
    shown = await world.http.get("/api/agents/Ada/sessions/a%2Fb%20c%40d%3F%23")
    assert shown.json()["session_id"] == "a/b c@d?#"
    for odd in ("%2F", "x" * 1000, "%40dafx-Ada%40s", "%E4", "%25"):
        for path in (f"runs/{odd}", f"runs/{odd}/events", f"sessions/{odd}"):
            reply = await world.http.get(f"/api/agents/Ada/{path}")
            assert reply.status_code == 404, path
            assert reply.headers["content-type"] == "application/problem+json"
    for odd in ("/" * 85, "\U0001f600" * 256, "a'b"):
        reply = await world.post("hi", session_id=odd)
        assert reply.json()["session_id"] == odd
    large = await world.post("x" * 2_000_000)
    assert (large.status_code, large.json()["status"]) == (413, 413)
    wide = await world.post("ä" * 450_000, agent="Bob")
    assert wide.status_code in (200, 413), wide.text
    binary = await world.http.post("/api/agents/Ada/run", content=bytes(range(256)))
    assert binary.status_code == 400


async def test_no_word_of_a_prompt_is_in_the_log(world: World) -> None:
    await world.post("forbidden", session_id="s33")
    await world.post("forbidden", response_format={"type": "forbidden"})
    started = await world.http.post(f"{WEBHOOK}/orchestrators/run-Ada", json={"agent": "forbidden"})
    run = started.json()["id"]
    assert (await world.ended(run)).status_code == 400
    assert "forbidden" not in world.runtime.log_text()


@pytest.mark.crash
async def test_a_run_is_on_disk_before_its_202_whatever_is_killed_then(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        runs: list[str] = []
        for number in range(3):
            reply = await world.post(f"pay k{number}", wait_for_response=False)
            await world.runtime.kill_everything()
            runs.append(reply.json()["correlation_id"])
            await world.runtime.start()
        for run in runs:
            assert (await world.ended(run)).json()["response"] == "paid"
        # A tool that runs when everything is killed may run again; none is lost.
        assert set(world.effects()) == {"k0", "k1", "k2"}


@pytest.mark.crash
async def test_a_cancel_while_the_host_is_down_is_obeyed_when_it_is_up_again(
    tmp_path: Path,
) -> None:
    async with world_in(tmp_path) as world:
        run = await world.begin("drip")
        world.runtime.kill("host")
        address = f"127.0.0.1:{world.runtime.grpc_port}"
        async with AsyncTaskHubGrpcClient(host_address=address) as client:
            await client.raise_orchestration_event(run, "cancel", data="by request")
        reply = await world.ended(run)
        assert (reply.status_code, reply.json()["code"]) == (409, "AgentCancelled")
        again = await world.http.delete(f"/api/agents/Ada/runs/{run}")
        assert again.json()["status"] == "cancelled"
