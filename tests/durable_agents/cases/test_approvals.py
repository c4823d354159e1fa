"""Calls that a person has to approve: what is approved is what is run, and nothing waits for it."""

import json
from decimal import Decimal
from typing import Any

import pytest

from durable_agents import Agent, RunLimits, ToolContext, tool
from durable_agents.agent import ApprovalPolicy
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, Host, told
from tests.durable_agents.scripted_model import ScriptedModel, calls, says

BALANCE = ("a", "balance", '{"account": "x"}')
WIRE = ("b", "wire", '{"to": "Bo", "amount": 9}')
BEGUN: dict[str, Any] = {"wait_for_response": False, "session_id": "s"}


@pytest.fixture
def bank(effects: Effects) -> Agent:
    @tool
    def balance(account: str) -> int:
        effects.add(f"balance {account}")
        return 100

    @tool(approval="always")
    def wire(to: str, amount: int, context: ToolContext) -> str:
        effects.add(f"wire {to} {amount}", context)
        return "wired"

    return Agent(name="Bank", tools=(balance, wire))


async def pending(host: Host) -> list[dict[str, Any]]:
    answer = await host.request("GET", "/api/approvals")
    assert answer.status == 200
    # Without the record of who tried what, which may grow.
    return [{**one, "audit": None} for one in answer.json()["approvals"]]


async def reply(host: Host, request: dict[str, Any], **answer: Any) -> Any:
    place = f"/api/approvals/{request['instance_id']}/{request['request_id']}"
    return await host.request("POST", place, json=answer)


async def begun(host: Host, agent: str = "Bank") -> str:
    """Begin a run of which a person is asked something; return its id."""
    answer = await host.ask(agent, "Send 9 to Bo.", **BEGUN)
    assert answer.status == 202, answer.text
    return answer.json()["correlation_id"]


async def answer_of(host: Host, run: str, agent: str = "Bank") -> Any:
    answer = await host.request("GET", f"/api/agents/{agent}/runs/{run}?wait_seconds=1")
    assert answer.status == 200, answer.text
    return answer.json()


async def test_harmless_call_does_not_wait_for_the_person_who_is_told_all_that_counts(
    hosting: Hosting, bank: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 19, before the answer."""
    model.will(calls(BALANCE, WIRE), says("sent"))
    async with hosting(bank) as host:
        run = await begun(host)
        (request,) = await pending(host)
        assert (await host.request("GET", f"/api/agents/Bank/runs/{run}")).status == 202
    assert effects.lines == ["balance x"]
    assert request["details"]["tool"] == "wire"
    assert request["details"]["arguments"] == {"to": "Bo", "amount": 9}
    assert (request["agent"], request["session_id"], request["instance_id"]) == ("Bank", "s", run)
    assert request["deadline"]
    assert len(model.requests) == 1


@pytest.mark.parametrize("kill", [False, True])
async def test_approved_call_runs_once_and_the_other_not_again(
    hosting: Hosting, bank: Agent, model: ScriptedModel, effects: Effects, kill: bool
) -> None:
    """Case 19 (a)."""
    model.will(calls(BALANCE, WIRE), says("sent"))
    async with hosting(bank) as host:
        run = await begun(host)
        (request,) = await pending(host)
        if kill:
            host.kill()
        assert (await reply(host, request, approved=True)).status == 200
        assert (await answer_of(host, run))["response"] == "sent"
        assert await pending(host) == []
    assert effects.lines == ["balance x", "wire Bo 9"]
    results = [one for one in model.requests[1].body["messages"] if one["role"] == "tool"]
    assert [(one["tool_call_id"], one["content"]) for one in results] == [
        ("a", "100"),
        ("b", "wired"),
    ]


async def test_rejected_call_is_told_with_the_reason_and_the_model_goes_on(
    hosting: Hosting, bank: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 19 (b)."""
    model.will(calls(BALANCE, WIRE), says("Not sent, then."))
    async with hosting(bank) as host:
        run = await begun(host)
        (request,) = await pending(host)
        await reply(host, request, approved=False, reason="not today")
        assert (await answer_of(host, run))["response"] == "Not sent, then."
    assert effects.lines == ["balance x"]
    assert "rejected" in told(model.requests[1], "b")
    assert "not today" in told(model.requests[1], "b")


async def test_call_that_nobody_approves_in_time_is_told_and_a_late_answer_refused(
    hosting: Hosting, bank: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 19 (c)."""
    model.will(calls(BALANCE, WIRE), says("Nobody was there."))
    async with hosting(bank) as host:
        run = await begun(host)
        (request,) = await pending(host)
        await host.advance(hours=24)
        assert (await answer_of(host, run))["response"] == "Nobody was there."
        late = await reply(host, request, approved=True)
        assert await pending(host) == []
    assert (late.status, late.headers["content-type"]) == (409, "application/problem+json")
    assert effects.lines == ["balance x"]
    assert "not approved in time" in told(model.requests[1], "b")


async def test_second_answer_is_refused_and_changes_nothing(
    hosting: Hosting, bank: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 19."""
    model.will(calls(WIRE), says("sent"))
    async with hosting(bank) as host:
        run = await begun(host)
        (request,) = await pending(host)
        await reply(host, request, approved=True)
        assert (await reply(host, request, approved=False)).status == 409
        assert (await reply(host, request, approved=True)).status == 409
        assert (await answer_of(host, run))["response"] == "sent"
    assert effects.lines == ["wire Bo 9"]


@pytest.mark.parametrize("part", ["instance_id", "request_id"])
async def test_answer_to_a_made_up_request_is_404_and_erases_nothing(
    hosting: Hosting, bank: Agent, model: ScriptedModel, effects: Effects, part: str
) -> None:
    """A fault of the published peer: made-up ids got 200 and could erase the list."""
    model.will(calls(WIRE), says("sent"))
    async with hosting(bank) as host:
        await begun(host)
        (request,) = await pending(host)
        made_up = {**request, part: "made-up"}
        assert (await reply(host, made_up, approved=True)).status == 404
        (still,) = await pending(host)
        # But for the answer that was refused, which is in its audit.
        assert still == {**request, "audit": still["audit"]}
    assert effects.lines == []


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"approved": "yes"},
        {"approved": None},
        {"approved": True, "more": 1},
        {"approved": True, "arguments": {"amount": "x"}},
        {"approved": True, "arguments": {"zz": 1}},
        {"approved": True, "arguments": {"to": 7}},
        {"approved": True, "arguments": [1]},
    ],
)
async def test_answer_that_cannot_be_used_is_422_and_the_request_stays(
    hosting: Hosting, bank: Agent, model: ScriptedModel, effects: Effects, answer: dict[str, Any]
) -> None:
    """Case 21."""
    model.will(calls(WIRE), says("sent"))
    async with hosting(bank) as host:
        await begun(host)
        (request,) = await pending(host)
        assert (await reply(host, request, **answer)).status == 422
        (still,) = await pending(host)
        # But for the answer that was refused, which is in its audit.
        assert still == {**request, "audit": still["audit"]}
    assert effects.lines == []


async def test_two_calls_of_one_id_are_two_requests_answered_one_by_one(
    hosting: Hosting, bank: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 05, with approval."""
    asked = [("wire", "wire", json.dumps({"to": to, "amount": 1})) for to in ("A", "B")]
    model.will(calls(*asked), says("done"))
    async with hosting(bank) as host:
        run = await begun(host)
        requests = await pending(host)
        assert len({one["request_id"] for one in requests}) == 2
        by_name = {one["details"]["arguments"]["to"]: one for one in requests}
        await reply(host, by_name["B"], approved=True)
        assert effects.lines == ["wire B 1"]
        (left,) = await pending(host)
        assert left["details"]["arguments"]["to"] == "A"
        await reply(host, by_name["A"], approved=False)
        assert (await answer_of(host, run))["response"] == "done"
    assert effects.lines == ["wire B 1"]
    first, second = [one for one in model.requests[1].body["messages"] if one["role"] == "tool"]
    assert ("rejected" in first["content"], second["content"]) == (True, "wired")


async def test_cancelled_run_leaves_nothing_to_approve(
    hosting: Hosting, bank: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 19: what nobody waits for is not asked any more."""
    model.will(calls(WIRE), says("never"))
    async with hosting(bank) as host:
        run = await begun(host)
        (request,) = await pending(host)
        cancelled = await host.request("DELETE", f"/api/agents/Bank/runs/{run}")
        assert cancelled.json()["status"] == "cancelled"
        assert await pending(host) == []
        assert (await reply(host, request, approved=True)).status == 409
    assert effects.lines == []


async def test_terminated_run_leaves_nothing_to_approve(
    hosting: Hosting, bank: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 19: a run that was ended from outside asks nobody."""
    model.will(calls(WIRE), says("never"))
    async with hosting(bank) as host:
        run = await begun(host)
        await host.terminate(run)
        assert await pending(host) == []
    assert effects.lines == []


async def test_time_limit_of_the_run_ends_the_wait_for_a_person(
    hosting: Hosting, bank: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 19."""
    model.will(calls(WIRE), says("never"))
    async with hosting(bank) as host:
        await host.ask("Bank", wait_for_response=False, timeout=3600)
        (run,) = [one for one in host.runs if one.name == "run-Bank"]
        await host.advance(hours=1)
        assert run.failure is not None
        assert run.failure.type == "AgentTimeout"
        assert await pending(host) == []
    assert effects.lines == []


ASKED = ("t", "transfer", '{"to": " bob ", "amount": "100.00"}')


@pytest.fixture
def payer(effects: Effects) -> Agent:
    return Agent(name="Payer", tools=(transfer_tool(effects, "always"),))


def transfer_tool(effects: Effects, approval: Any) -> Any:
    def check(values: dict[str, Any]) -> dict[str, Any]:
        if values["amount"] <= 0:
            raise ValueError("amount: must be more than nothing")
        amount = min(values["amount"], Decimal(50))
        return {**values, "to": values["to"].strip(), "amount": amount}

    @tool(approval=approval, validate=check)
    def transfer(to: str, amount: Decimal, note: str = "-") -> str:
        effects.add(f"transfer {to!r} {amount} {note}")
        return "transferred"

    return transfer


async def test_person_sees_what_would_run_and_beside_it_what_was_asked_for(
    hosting: Hosting, payer: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 21."""
    model.will(calls(ASKED), says("sent"))
    async with hosting(payer) as host:
        run = await begun(host, "Payer")
        (request,) = await pending(host)
        answered = (await reply(host, request, approved=True)).json()
        await answer_of(host, run, "Payer")
    details = request["details"]
    assert details["arguments"] == {"to": "bob", "amount": "50", "note": "-"}
    assert details["asked_for"] == {"to": " bob ", "amount": "100.00"}
    assert effects.lines == ["transfer 'bob' 50 -"]
    assert [one["what"] for one in answered["audit"]] == ["opened", "answered"]
    assert answered["details"]["arguments"] == details["arguments"]


async def test_changed_arguments_are_what_runs_and_the_model_is_told(
    hosting: Hosting, payer: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 21."""
    model.will(calls(ASKED), says("sent"))
    async with hosting(payer) as host:
        run = await begun(host, "Payer")
        (request,) = await pending(host)
        answer = await reply(host, request, approved=True, arguments={"amount": "30"})
        assert answer.status == 200, answer.text
        await answer_of(host, run, "Payer")
    assert effects.lines == ["transfer 'bob' 30 -"]
    assert "changed" in told(model.requests[1])
    assert "30" in told(model.requests[1])


@pytest.mark.parametrize(
    "arguments", [{"amount": "-1"}, {"unknown": 1}, {"amount": "many"}, {"amount": "80"}]
)
async def test_changes_that_would_not_run_as_written_are_422_and_the_request_stays(
    hosting: Hosting,
    payer: Agent,
    model: ScriptedModel,
    effects: Effects,
    arguments: dict[str, Any],
) -> None:
    """Case 21."""
    model.will(calls(ASKED), says("sent"))
    async with hosting(payer) as host:
        await begun(host, "Payer")
        (request,) = await pending(host)
        answer = await reply(host, request, approved=True, arguments=arguments)
        assert answer.status == 422
        assert next(iter(arguments)) in answer.text
        (still,) = await pending(host)
        # But for the answer that was refused, which is in its audit.
        assert still == {**request, "audit": still["audit"]}
    assert effects.lines == []


@pytest.mark.parametrize(("asked", "is_asked"), [("100.00", True), ("45", True), ("40", False)])
async def test_predicate_is_asked_with_the_effective_arguments(
    hosting: Hosting, model: ScriptedModel, effects: Effects, asked: str, is_asked: bool
) -> None:
    """Case 21."""
    seen: list[Any] = []

    def needs_approval(values: dict[str, Any]) -> bool:
        seen.append(values["amount"])
        return values["amount"] > 40

    payer = Agent(name="Payer", tools=(transfer_tool(effects, needs_approval),))
    arguments = json.dumps({"to": "bob", "amount": asked})
    model.will(calls(("t", "transfer", arguments)), says("sent"))
    async with hosting(payer) as host:
        await host.ask("Payer", **BEGUN)
        assert len(await pending(host)) == is_asked
    assert seen == [min(Decimal(asked), Decimal(50))]
    assert effects.lines == ([] if is_asked else ["transfer 'bob' 40 -"])


@pytest.mark.parametrize(
    "arguments", ["{}", '{"to": "bob", "amount": "-1"}', '{"to": "bob"', '{"to": 7, "amount": 1}']
)
async def test_invalid_arguments_are_told_to_the_model_and_nobody_is_asked(
    hosting: Hosting, payer: Agent, model: ScriptedModel, effects: Effects, arguments: str
) -> None:
    """Case 21."""
    model.will(calls(("t", "transfer", arguments)), says("sorry"))
    async with hosting(payer) as host:
        assert (await host.answered("Payer"))["response"] == "sorry"
        assert await pending(host) == []
    assert effects.lines == []


async def test_predicate_that_raises_asks_a_person(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 21: when in doubt, a person is asked."""

    def broken(values: dict[str, Any]) -> bool:
        raise KeyError("limit")

    payer = Agent(name="Payer", tools=(transfer_tool(effects, broken),))
    model.will(calls(ASKED), says("sent"))
    async with hosting(payer) as host:
        await host.ask("Payer", **BEGUN)
        assert len(await pending(host)) == 1
    assert effects.lines == []


async def test_approvals_have_the_time_that_the_agent_gives_them(
    hosting: Hosting, bank: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 19: no time limit is for ever."""
    bank = Agent(
        name="Bank",
        tools=bank.tools,
        approvals=ApprovalPolicy(timeout=None),
        limits=RunLimits(turns=3),
    )
    model.will(calls(WIRE), says("sent"))
    async with hosting(bank) as host:
        run = await begun(host)
        await host.advance(weeks=60)
        (request,) = await pending(host)
        assert request["deadline"] is None
        await reply(host, request, approved=True)
        assert (await answer_of(host, run))["response"] == "sent"
    assert effects.lines == ["wire Bo 9"]
