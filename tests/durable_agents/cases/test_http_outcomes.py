"""What callers get by HTTP: one run for one key, the truth about failures, and later what is ready.

Faults that the published peer had, and case 31 (b).
"""

from typing import Any

import pytest

from durable_agents import Agent, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, only_run
from tests.durable_agents.scripted_model import (
    DROP,
    Reply,
    ScriptedModel,
    calls,
    fails,
    refuses,
    says,
)

RUN = "/api/agents/Ada/run"
KEY = {"Idempotency-Key": "order-1"}
DEEP = b'{"message": "x", "options": {"a": %(depth)s}}'


@pytest.fixture
def ada(effects: Effects) -> Agent:
    @tool
    def charge(card: str) -> str:
        effects.add(f"charge {card}")
        return "charged"

    return Agent(name="Ada", tools=(charge,))


async def test_same_key_is_one_run_while_it_goes_on_and_after_its_end(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 31 (b)."""
    model.will(calls(("c", "charge", '{"card": "1"}')), says("paid"))
    async with hosting(ada) as host:
        host.takes("charge", 30)
        first = await host.request(
            "POST", f"{RUN}?wait_seconds=1", json={"message": "Pay."}, headers=KEY
        )
        second = await host.answered(message="Pay.", headers=KEY)
        third = await host.answered(message="Pay.", headers=KEY)
        assert len(host.runs) == 1
    assert first.status == 202
    assert first.json()["correlation_id"] == second["correlation_id"]
    assert second == third
    assert effects.lines == ["charge 1"]
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    "other", [{"message": "Pay more."}, {"message": "Pay.", "session_id": "s"}]
)
async def test_same_key_with_another_body_is_refused_and_runs_nothing(
    hosting: Hosting, ada: Agent, model: ScriptedModel, other: dict[str, Any]
) -> None:
    """Case 31 (b)."""
    async with hosting(ada) as host:
        await host.answered(message="Pay.", headers=KEY)
        answer = await host.ask(**other, headers=KEY)
        assert len(host.runs) == 1
    assert answer.status in (409, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(model.requests) == 1


async def test_key_counts_whether_the_answer_is_waited_for_or_not(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    """Of the kind of case 31 (b)."""
    async with hosting(ada) as host:
        began = await host.ask(message="Pay.", wait_for_response=False, headers=KEY)
        waited = await host.answered(message="Pay.", headers=KEY)
        assert len(host.runs) == 1
    assert began.status == 202
    assert began.json()["correlation_id"] == waited["correlation_id"]


async def test_failed_run_is_the_same_failure_under_its_key(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    """Of the kind of case 31 (b): the same key never runs twice, also when it came to nothing."""
    model.will(refuses(400, code="bad", message="no"), says("too late"))
    async with hosting(ada) as host:
        first = await host.problem(message="Pay.", headers=KEY)
        second = await host.problem(message="Pay.", headers=KEY)
    assert first == second
    assert len(model.requests) == 1


async def test_two_agents_may_have_the_same_key(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    """Of the kind of case 31 (b)."""
    async with hosting(ada, Agent(name="Bob")) as host:
        first = await host.answered(message="Pay.", headers=KEY)
        second = await host.answered("Bob", "Pay.", headers=KEY)
    assert first["correlation_id"] != second["correlation_id"]
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (fails(500), 502, "ModelUnavailable"),
        (fails(503, retry_after="9"), 502, "ModelUnavailable"),
        (DROP, 502, "ModelUnavailable"),
        (Reply(200, b"<html>"), 502, "ModelUnavailable"),
        (Reply(200, b'{"choices": []}'), 502, "ModelUnavailable"),
        (says(""), 502, "ModelUnavailable"),
        (says("  \n"), 502, "ModelUnavailable"),
        (says(None), 502, "ModelUnavailable"),
        (says("", refusal="I will not."), 502, "ModelRejected"),
        (fails(401), 502, "ModelRejected"),
        (fails(404), 502, "ModelRejected"),
        (fails(429), 429, "ModelRateLimited"),
        (says("half", finish="length"), 502, "InvalidAgentOutput"),
    ],
)
async def test_agent_that_fails_is_a_failure_everywhere_and_never_an_empty_text(
    hosting: Hosting, ada: Agent, model: ScriptedModel, reply: Reply, status: int, code: str
) -> None:
    """A fault of the published peer: a failed agent answered 200 "success" with empty text."""
    model.will(reply)
    async with hosting(ada) as host:
        problem = await host.problem()
        run = only_run(host)
        later = await host.request("GET", f"/api/agents/Ada/runs/{run.id}")
    assert (problem["status"], problem["code"]) == (status, code)
    assert (run.status, run.output) == ("Failed", None)
    assert (later.status, later.json()["code"]) == (status, code)
    assert problem["agent"] == "Ada"
    assert problem["cause"]


async def test_wait_that_is_over_is_202_and_the_result_can_be_fetched_later(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    """A fault of the published peer: a wait timed out as 500, and the result was lost."""
    model.will(calls(("c", "charge", '{"card": "1"}')), says("paid"))
    async with hosting(ada) as host:
        host.takes("charge", 600)
        waited = await host.ask()
        place = waited.headers["location"].partition("7071")[2]
        running = await host.request("GET", place)
        ended = await host.request("GET", f"{place}?wait_seconds=200")
        while ended.status == 202:
            ended = await host.request("GET", f"{place}?wait_seconds=200")
        again = await host.request("GET", place)
    assert waited.status == 202
    assert running.status == 202
    assert running.json()["progress"]["step"] == "tools"
    assert ended.status == 200, ended.text
    assert ended.json()["response"] == "paid"
    assert again.json() == ended.json()


async def test_cancel_that_comes_after_the_end_says_so(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    """A cancel that races with the end tells the truth."""
    async with hosting(ada) as host:
        run = (await host.answered())["correlation_id"]
        ended = await host.request("DELETE", f"/api/agents/Ada/runs/{run}")
    assert ended.json()["status"] == "completed"


async def test_cancelled_run_asks_no_model_and_no_tool_any_more(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Section 2, stop: what was used until then is told."""
    model.will(calls(("c", "charge", '{"card": "1"}')), says("never"))
    async with hosting(ada) as host:
        host.hold("charge")
        run = (await host.ask(wait_for_response=False)).json()["correlation_id"]
        cancelled = await host.request("DELETE", f"/api/agents/Ada/runs/{run}")
        later = await host.request("GET", f"/api/agents/Ada/runs/{run}")
    assert cancelled.json()["status"] == "cancelled"
    assert (later.status, later.json()["code"]) == (409, "AgentCancelled")
    assert later.json()["usage"]["total_tokens"] == 18
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"message": ""}', "application/json"),
        (b'{"message": 7}', "application/json"),
        (b'{"message": "\\ud83d"}', "application/json"),
        (b'{"message": "x", "unknown": 1}', "application/json"),
        (b'{"message": "x", "timeout": -1}', "application/json"),
        (b'{"message": "x", "timeout": NaN}', "application/json"),
        (b'{"message": "x", "session_id": 7}', "application/json"),
        (b'{"message": "x", "session_id": "\\ud83d"}', "application/json"),
        (b'{"message": "x", "options": {"\\ud83d": "\\ud83d"}}', "application/json"),
        (b'{"message": "x", "response_format": {"minimum": Infinity}}', "application/json"),
        (b'{"message": "x", "response_format": {"title": "\\ud83d"}}', "application/json"),
        (b'{"message": "x", "options": {"a": NaN}}', "application/json"),
        (b"\xff\xfe", "text/plain"),
        (b"   ", "text/plain"),
        (b"[" * 100_000, "application/json"),
        (DEEP % {b"depth": b"[" * 900 + b"]" * 900}, "application/json"),
        (DEEP % {b"depth": b"[" * 20_000 + b"]" * 20_000}, "application/json"),
    ],
)
async def test_body_that_cannot_be_used_is_the_callers_mistake(
    hosting: Hosting, ada: Agent, model: ScriptedModel, body: bytes, content_type: str
) -> None:
    """Nothing that a caller sends is a fault of the server."""
    async with hosting(ada) as host:
        answer = await host.request("POST", RUN, body=body, headers={"Content-Type": content_type})
        assert host.runs == []
    assert answer.status == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "InvalidInput"
    assert model.requests == []


async def test_run_of_another_agent_is_not_found(
    hosting: Hosting, ada: Agent, model: ScriptedModel
) -> None:
    """An agent's route shows its own runs only."""
    async with hosting(ada, Agent(name="Bob")) as host:
        run = (await host.answered())["correlation_id"]
        other = await host.request("GET", f"/api/agents/Bob/runs/{run}")
        unknown = await host.request("GET", "/api/agents/Ada/runs/no-such-run")
    assert (other.status, unknown.status) == (404, 404)
