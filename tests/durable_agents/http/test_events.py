"""The events of a run: read from its history, with ids that stay, resumed without gap or double."""

import asyncio
import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agents import ToolError
from durable_agents.agent import ApprovalPolicy
from durable_agents.testing import Answer, ScriptedModel, calls, fails
from tests.durable_agents.http.office import Office, charge, office, require_problem, transfer

type Told = tuple[int, str, dict[str, Any]]


def read(answer: Answer) -> list[Told]:
    """Read a stream as a browser does."""
    if answer.status == 204:
        return []
    assert answer.headers["content-type"] == "text/event-stream"
    found: list[Told] = []
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        if "data" in fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


async def events(host: Office, run: str, after: int | None = None, **params: str) -> list[Told]:
    headers = {} if after is None else {"last-event-id": str(after)}
    params = {"wait_seconds": "0", **params}
    return read(await host.fetch(f"{run}/events", headers=headers, params=params))


def names(found: list[Told]) -> list[str]:
    return [name for _, name, _ in found]


def broken() -> str:
    """Fail."""
    raise ToolError("it is broken")


async def test_a_run_tells_each_turn_each_tool_and_its_end() -> None:
    model = ScriptedModel([calls(("charge", {"card": "1"}, "c1"), text="Wait."), "paid"])
    async with office(model) as host:
        run = (await host.post()).json()["correlation_id"]
        found = await events(host, run)
        assert names(found) == [
            *["turn.started", "turn.finished", "tool.called", "tool.result"],
            *["turn.started", "turn.finished", "finished"],
        ]
        assert found[2][2]["tool"] == "charge"
        assert json.loads(found[2][2]["arguments"]) == {"card": "1"}
        assert found[1][2]["text"] == "Wait."
        assert found[3][2] | {"call_id": ""} == {
            "tool": "charge",
            "call_id": "",
            "text": "charged",
            "is_error": False,
        }
        end = {"status": "success", "response": "paid"}
        assert {key: found[-1][2][key] for key in end} == end
        assert found[-1][2]["usage"]["total_tokens"] == 36


async def test_31_c_listeners_come_and_go_and_miss_nothing() -> None:
    model = ScriptedModel([calls(("charge", {"card": "1"})), "paid"])
    async with office(model) as host:
        host.hold("charge")
        run = await host.begin()
        first = await events(host, run)
        assert names(first)[-1] == "tool.called"
        await host.release()
        rest = await events(host, run, after=first[-1][0])
        second = await events(host, run)
        assert first + rest == second
        third = await events(host, run)
        assert (third, names(third)[-1]) == (second, "finished")
        gone = await host.fetch(f"{run}/events", headers={"last-event-id": str(third[-1][0])})
        assert gone.status == 204
        assert await events(host, run, after=10**14) == []
        assert len(model.requests) == 2


async def test_the_id_may_be_in_the_query_and_the_header_counts_more() -> None:
    async with office(ScriptedModel(["ok"])) as host:
        run = (await host.post()).json()["correlation_id"]
        whole = await events(host, run)
        assert await events(host, run, last_event_id=str(whole[0][0])) == whole[1:]
        assert await events(host, run, after=whole[1][0], last_event_id="1") == whole[2:]


async def test_a_listener_that_waits_is_told_of_what_comes() -> None:
    async with office(ScriptedModel([calls(("charge", {"card": "1"})), "ok"])) as host:
        host.hold("charge")
        run = await host.begin()
        known = (await events(host, run))[-1][0]
        url = f"/api/agents/Ada/runs/{run}/events"
        waiting = asyncio.create_task(
            host.request("GET", url, params={"last_event_id": str(known), "wait_seconds": "9"})
        )
        await asyncio.sleep(0)
        host._running.workers.conduct.held.clear()
        assert names(read(await waiting))[0] == "tool.result"


async def test_who_asks_for_all_at_once_gets_them_at_the_end() -> None:
    async with office(ScriptedModel([calls(("charge", {"card": "1"})), "ok"])) as host:
        run = await host.begin()
        found = await events(host, run, until="finished", wait_seconds="20")
        assert names(found)[-1] == "finished"
        require_problem(await host.fetch(f"{run}/events", params={"until": "x"}), 400)


async def test_a_repeated_attempt_is_announced() -> None:
    async with office(ScriptedModel([fails(503), fails(500), "ok"])) as host:
        run = (await host.post()).json()["correlation_id"]
        found = await events(host, run)
        assert names(found)[:-1] == [
            *["turn.started", "turn.failed"] * 2,
            *["turn.started", "turn.finished"],
        ]
        attempts = [told.get("attempt") for _, name, told in found if name == "turn.started"]
        assert attempts == [None, 2, 3]
        assert found[1][2]["code"] == "ModelUnavailable"


async def test_a_failed_runs_stream_ends_with_its_error() -> None:
    async with office(ScriptedModel([fails(400, message="no")])) as host:
        run = (await host.post()).json()["correlation_id"]
        _, name, told = (await events(host, run))[-1]
        assert (name, told["status"], told["code"]) == ("finished", "failed", "ModelRejected")
        assert "no" in told["cause"]


@pytest.mark.parametrize("how", ["terminate", "cancel"])
async def test_the_stream_of_a_run_that_was_stopped_ends_with_that(how: str) -> None:
    async with office(ScriptedModel()) as host:
        host.hold("Ada")
        run = await host.begin()
        await (host.terminate(run) if how == "terminate" else host.cancel(run))
        _, name, told = (await events(host, run))[-1]
        assert (name, told["status"], told["code"]) == ("finished", "cancelled", "AgentCancelled")


async def test_requests_to_people_are_told_and_how_they_ended() -> None:
    policy = ApprovalPolicy(timeout=timedelta(hours=1))
    script = [calls(("transfer", {"to": "bob"}), ("transfer", {"to": "eve"})), "ok"]
    async with office(ScriptedModel(script), approvals=policy) as host:
        run = await host.begin()
        rows = await host.approvals()
        await host.decide(rows[0], {"approved": True})
        await host.advance(hours=2)
        told = [(name, data) for _, name, data in await events(host, run) if "approval" in name]
        assert [name for name, _ in told] == [
            *["approval.wanted"] * 2,
            *["approval.answered", "approval.expired"],
        ]
        assert told[2][1]["request_id"] == rows[0]["request_id"]
        assert json.loads(told[2][1]["answer"]) == {"approved": True}
        assert told[3][1]["request_id"] == rows[1]["request_id"]


async def test_a_purged_run_has_no_events() -> None:
    async with office(ScriptedModel(["ok"])) as host:
        run = (await host.post()).json()["correlation_id"]
        await (await host.client()).purge_orchestration(run)
        require_problem(await host.fetch(f"{run}/events"), 404, "RunNotFound")


STEP = st.sampled_from(
    [
        calls(("charge", {"card": "1"})),
        calls(("charge", {"card": "1"}), ("broken", {})),
        calls(("transfer", {"to": "bob"})),
        calls(("transfer", {"to": "bob"}), ("charge", {"card": "2"}), ("nothing", {})),
        calls(("Helper", {"message": "x"})),
        fails(503),
        fails(429),
    ]
)
END = st.sampled_from(["done", fails(400), "done", fails(401)])


@given(st.lists(STEP, max_size=5), END, st.lists(st.booleans(), min_size=8, max_size=8))
@settings(max_examples=12, deadline=None)
async def test_whatever_happens_a_stream_resumed_anywhere_is_the_whole(
    steps: list[Any], end: Any, yes: list[bool]
) -> None:
    model = ScriptedModel({"Ada": [*steps, end, end, end], "Helper": ["helped"] * 5})
    model.verify = lambda: None  # a run may end before its script
    policy = ApprovalPolicy(timeout=timedelta(hours=1))
    app_tools = [charge, transfer, broken]
    async with office(model, tools=app_tools, approvals=policy) as host:
        run = await host.begin()
        followed: list[Told] = []
        for approved in yes:
            followed += await events(host, run, after=followed[-1][0] if followed else 0)
            for row in await host.approvals():
                await host.decide(row, {"approved": approved})
            await host.advance(seconds=20)
        await host.advance(hours=5)
        followed += await events(host, run, after=followed[-1][0])
        whole = await events(host, run)
        assert followed == whole
        assert names(whole).count("finished") == 1
        assert names(whole)[-1] == "finished"
        assert all(first < second for (first, *_), (second, *_) in pairwise(whole))
        for place, (id, *_) in enumerate(whole):
            assert await events(host, run, after=id) == whole[place + 1 :]
        turns = [one for one in whole if one[1].startswith("turn.")]
        for (_, before, _), (_, name, told) in pairwise(turns):
            assert (name == "turn.started") == (before != "turn.started")
            assert ("attempt" in told) == (before == "turn.failed") or name != "turn.started"
