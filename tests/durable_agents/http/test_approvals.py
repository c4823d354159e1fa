"""One way to ask people: wrong 422, unknown 404, twice 409, late 410; each is in the audit."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest

from durable_agents.agent import ApprovalPolicy
from durable_agents.people import ENTITY_NAME, HumanRequest, ask_person, request_entity_id
from durable_agents.testing import ScriptedModel, calls
from tests.durable_agents.http.office import (
    EFFECTS,
    Office,
    charge,
    make_app,
    office,
    require_problem,
    transfer,
)

HOUR = ApprovalPolicy(timeout=timedelta(hours=1))
COLOUR = '{"type": "string", "enum": ["red", "blue"]}'


def paying(*then: str, **more: Any) -> Office:
    """Make a host in which Ada wants to pay, and then says something."""
    return office(ScriptedModel([calls(("transfer", {"to": "bob"})), *then]), **more)


def asking(**request: Any) -> Office:
    """Make a host with a flow `ask`, which asks a person for a colour."""
    app = make_app(ScriptedModel())

    @app.orchestration_trigger(context_name="context", orchestration="ask")
    def ask(context: Any, given: Any) -> Generator[Any, Any, Any]:
        given = {"id": "q", "question": "Which?", "answer_schema": COLOUR, **request}
        answer = yield from ask_person(context, HumanRequest(**given))
        return answer.to_json()

    return Office(app)


def audit(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(entry["what"], entry.get("detail", "")) for entry in body["audit"]]


async def test_a_pending_request_is_listed_as_json_and_answered() -> None:
    async with paying("ok", approvals=HOUR) as host:
        run = await host.begin()
        (row,) = await host.approvals()
        assert row["details"]["arguments"] == {"to": "bob", "amount": 1}
        assert (row["instance_id"], row["agent"]) == (run, "Ada")
        assert row["answer_url"] == f"http://localhost:7071/api/approvals/{run}/{row['request_id']}"
        answer = await host.decide(row, {"approved": True, "arguments": {"amount": 5}})
        body = answer.json()
        assert (answer.status, body["status"]) == (200, "answered")
        assert body["answer"]["arguments"] == {"to": "bob", "amount": 5}
        assert EFFECTS == [("bob", 5)]
        assert await host.approvals() == []
        assert (await host.fetch(run)).json()["response"] == "ok"


@pytest.mark.parametrize(
    "said",
    [
        True,
        {},
        {"approved": "yes"},
        {"approved": True, "zz": 1},
        {"approved": True, "arguments": {"amount": "many"}},
        {"approved": True, "arguments": {"zz": 1}},
        [],
    ],
)
async def test_a_wrong_answer_is_422_and_in_the_audit_and_the_request_stays(said: Any) -> None:
    async with paying() as host:
        await host.begin()
        (row,) = await host.approvals()
        problem = require_problem(await host.decide(row, said), 422, "InvalidInput")
        assert problem["problems"]
        (row,) = await host.approvals()
        assert audit(row)[1:] == [("refused", "invalid")]
        assert EFFECTS == []


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b'{"approved": NaN}', b"\xef\xbb\xbf"])
async def test_an_answer_that_is_no_json_is_422(body: bytes) -> None:
    async with paying() as host:
        await host.begin()
        (row,) = await host.approvals()
        answer = await host.request("POST", row["answer_url"], body=body)
        require_problem(answer, 422, "InvalidInput")


async def test_an_answer_that_is_no_text_is_400_and_a_large_one_413_or_422() -> None:
    async with paying() as host:
        await host.begin()
        (row,) = await host.approvals()
        url = row["answer_url"]
        require_problem(await host.request("POST", url, body=b"\xff"), 400)
        require_problem(await host.request("POST", url, json="x" * 2_000_000), 413)
        require_problem(await host.request("POST", url, json="x" * 100_000), 422)


async def test_answers_of_a_question_are_422_409_and_410() -> None:
    async with asking(timeout=60) as host:
        run = await host.start("ask", instance_id="i")
        (row,) = await host.approvals()
        require_problem(await host.decide(row, "green"), 422)
        assert (await host.decide(row, "red")).status == 200
        again = await host.decide(row, "blue")
        require_problem(again, 409, "AlreadyAnswered")
        assert run.output["text"] == '"red"'
        late = await host.start("ask", instance_id="j")
        (row,) = await host.approvals()
        await host.advance(seconds=61)
        assert late.has_ended
        require_problem(await host.decide(row, "red"), 410, "TooLate")
        require_problem(await host.decide({"answer_url": "/api/approvals/i/zz"}, "red"), 404)
        require_problem(await host.decide({"answer_url": "/api/approvals/zz/q"}, "red"), 404)
        first, second = (host.entity(ENTITY_NAME, request_entity_id(i, "q").key) for i in "ij")
        whats = [("opened", ""), ("refused", "invalid"), ("answered", '"red"')]
        assert audit(first) == [*whats, ("refused", "already_answered")]
        assert audit(second) == [("opened", ""), ("expired", ""), ("refused", "too_late")]
        assert all(entry["at"] for entry in first["audit"])


async def test_a_late_approval_of_a_tool_is_409() -> None:
    async with paying("ok", approvals=HOUR) as host:
        run = await host.begin()
        (row,) = await host.approvals()
        await host.advance(hours=2)
        require_problem(await host.decide(row, {"approved": True}), 409)
        assert EFFECTS == []
        assert (await host.fetch(run)).json()["response"] == "ok"


async def test_two_answers_at_once_are_one_200_and_one_409() -> None:
    async with paying("ok") as host:
        await host.begin()
        (row,) = await host.approvals()
        statuses = [
            (await host.decide(row, {"approved": yes})).status for yes in (False, True, True)
        ]
        assert statuses == [200, 409, 409]
        assert EFFECTS == []


@pytest.mark.parametrize("how", ["terminate", "cancel"])
async def test_a_run_that_is_over_asks_nobody_and_takes_no_answer(how: str) -> None:
    async with paying() as host:
        run = await host.begin()
        (row,) = await host.approvals()
        if how == "terminate":
            await host.terminate(run)
        else:
            assert (await host.cancel(run)).json()["status"] == "cancelled"
        assert await host.approvals() == []
        require_problem(await host.decide(row, {"approved": True}), 409)
        assert EFFECTS == []


async def test_requests_of_one_orchestration_can_be_asked_for() -> None:
    async with asking() as host:
        for id in ("i", "j", "i2"):
            await host.start("ask", instance_id=id)
        rows = await host.approvals()
        assert sorted(row["instance_id"] for row in rows) == ["i", "i2", "j"]
        (row,) = await host.approvals(params={"instance_id": "i"})
        assert row["instance_id"] == "i"
        assert await host.approvals(params={"instance_id": "zz"}) == []


async def test_an_odd_instance_id_can_be_answered_at_its_address() -> None:
    async with asking() as host:
        run = await host.start("ask", instance_id="a b:c~d#ä")
        (row,) = await host.approvals()
        assert (await host.decide(row, "red")).status == 200
        assert run.has_ended


async def test_many_requests_are_listed_up_to_a_limit_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("durable_agents.http.approvals._MOST_LISTED", 3)
    async with asking() as host:
        for number in range(3):
            await host.start("ask", instance_id=f"i{number}")
        assert (await host.request("GET", "/api/approvals")).json()["truncated"] is False
        await host.advance(seconds=1)
        await host.start("ask", instance_id="i3")
        body = (await host.request("GET", "/api/approvals")).json()
        assert body["truncated"] is True
        found = [row["instance_id"] for row in body["approvals"]]
        assert (len(found), found[-1]) == (3, "i3")


async def test_the_audit_does_not_grow_with_wrong_answers() -> None:
    async with asking() as host:
        await host.start("ask")
        (row,) = await host.approvals()
        for _ in range(25):
            require_problem(await host.decide(row, "green"), 422)
        answered = (await host.decide(row, "red")).json()
        assert audit(answered)[-1] == ("answered", '"red"')
        assert len(answered["audit"]) == 22


async def test_a_call_of_a_tool_that_is_gone_can_be_rejected_and_not_approved() -> None:
    tools = [charge, transfer]
    model = ScriptedModel([calls(("transfer", {"to": "bob"})), "ok"])
    async with Office(lambda: make_app(model, tools)) as host:
        await host.begin()
        (row,) = await host.approvals()
        tools.remove(transfer)
        host.kill()  # and the app is made anew, as by a deployment
        require_problem(await host.decide(row, {"approved": True}), 409, "CodeChanged")
        assert (await host.decide(row, {"approved": False})).status == 200
