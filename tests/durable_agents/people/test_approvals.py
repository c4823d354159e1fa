"""The approval of a tool's call: what a person sees is what runs (cases 19 and 21)."""

import json
from collections.abc import Generator, Mapping
from decimal import Decimal
from typing import Annotated, Any

import pytest
from durabletask.task import OrchestrationContext
from pydantic import Field

from durable_agents.messages import PreparedCall, ToolCall, ToolRequest, ToolResult
from durable_agents.people import (
    Answer,
    Asking,
    Decision,
    RequestState,
    approval_request,
    check_approval,
    decided,
    listed,
)
from durable_agents.testing import DurableTest
from durable_agents.tools import tool
from tests.durable_agents.people.desk import PAT, answer, app, state

CALLS: list[tuple[Any, ...]] = []


def clean(arguments: dict[str, Any]) -> Mapping[str, Any]:
    amount = min(arguments["amount"], Decimal(50))
    return {**arguments, "to": arguments["to"].strip(), "amount": amount}


@tool(approval="always", validate=clean)
def transfer(to: str, amount: Annotated[Decimal, Field(gt=0)], note: str = "-") -> str:
    """Send money."""
    CALLS.append((to, amount, note))
    return "sent"


ASKED_FOR = '{"to": " bob ", "amount": "100.00"}'
PREPARED = PreparedCall(
    call=ToolCall(id="c1", name="transfer", arguments=ASKED_FOR),
    action="run",
    target="transfer",
    arguments=transfer.read(ASKED_FOR).arguments,
    approval=True,
)
REQUEST = approval_request(PREPARED, agent="Ada", session="s", timeout=60, id="q1")
STATE = RequestState(instance="i-1", request=REQUEST, asked_at="2026-01-01T00:00:00+00:00")


def pay(context: OrchestrationContext, given: Any) -> Generator[Any, Any, Any]:
    """Do as a run does with a call that a person has to approve."""
    decision = decided(PREPARED, (yield Asking(context, REQUEST)))
    if decision.call.action == "tell":
        return ToolResult(call_id="c1", name="transfer", text=decision.call.problem).to_json()
    request = ToolRequest(
        call_id="c1", arguments=decision.call.arguments, fingerprint=decision.fingerprint
    )
    result = yield context.call_activity("transfer", input=request.model_dump(mode="json"))
    return {**result, "note": decision.note}


def bank() -> Any:
    CALLS.clear()
    made = app(pay=pay)

    @made.activity_trigger(input_name="request", activity="transfer")
    async def run_transfer(request: Any) -> Any:
        return (await transfer.run(ToolRequest.model_validate(request))).to_json()

    return made


def checked(given: dict[str, Any]) -> tuple[list[str], str]:
    return check_approval(STATE, json.dumps(given), transfer.edit)


async def test_19_the_pending_request_says_all_that_a_person_needs() -> None:
    async with DurableTest(bank()) as host:
        run = await host.start("pay")
        (entry,) = listed([state(host, run, "q1"), None])
        assert entry["question"] == "May the agent Ada call transfer?"
        assert entry["kind"] == "tool-approval"
        assert entry["details"]["tool"] == "transfer"
        # 21: what would run, and beside it what the model asked for.
        assert entry["details"]["arguments"] == {"to": "bob", "amount": "50", "note": "-"}
        assert entry["details"]["asked_for"] == {"to": " bob ", "amount": "100.00"}
        assert (entry["agent"], entry["session_id"]) == ("Ada", "s")
        assert entry["deadline"] == "2026-01-01T00:01:00+00:00"
        assert entry["answer_schema"]["required"] == ["approved"]
        assert listed([state(host, run, "q1")], now="2026-01-01T00:01:00Z") == []


async def test_21_what_is_approved_is_what_runs_once_and_the_audit_holds_it() -> None:
    async with DurableTest(bank()) as host:
        run = await host.start("pay")
        assert (await answer(host, run, "q1", {"approved": True})).outcome == "accepted"
        assert run.output["text"] == "sent"
        assert [("bob", Decimal(50), "-")] == CALLS
        kept = state(host, run, "q1")
        assert json.loads(kept["request"]["details"])["arguments"]["amount"] == "50"
        assert kept["audit"][-1]["by"]["name"] == "Pat"


async def test_19_a_rejection_is_told_with_its_reason_and_nothing_runs() -> None:
    async with DurableTest(bank()) as host:
        run = await host.start("pay")
        await answer(host, run, "q1", {"approved": False, "reason": "not today"})
        assert run.output["text"] == "rejected by Pat: not today; the call was not made"
        assert CALLS == []


async def test_19_no_answer_in_time_is_told_as_that_and_a_late_one_gets_409() -> None:
    async with DurableTest(bank()) as host:
        run = await host.run("pay")
        assert run.output["text"] == "not approved in time; the call was not made"
        assert (await answer(host, run, "q1", {"approved": True})).code == 409
        assert CALLS == []


async def test_21_edited_arguments_run_as_they_were_written_and_the_model_is_told() -> None:
    problems, recorded = checked({"approved": True, "arguments": {"amount": "30"}})
    assert problems == []
    async with DurableTest(bank()) as host:
        run = await host.start("pay")
        await answer(host, run, "q1", recorded)
        assert [("bob", Decimal(30), "-")] == CALLS
        assert "A person (Pat) changed the arguments" in run.output["note"]
        assert '"amount": "30"' in run.output["note"]


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"approved": True, "arguments": {"amount": "-1"}}, "amount"),
        ({"approved": True, "arguments": {"amount": "60"}}, "amount"),
        ({"approved": True, "arguments": {"zz": 1}}, "zz"),
        ({"approved": True, "arguments": {"to": 5}}, "to"),
        ({"approved": True, "arguments": [1]}, "arguments"),
        ({"approved": "yes"}, "approved"),
        ({"approved": 1}, "approved"),
        ({}, "approved"),
        ({"approved": True, "argument": {}}, "argument"),
    ],
    ids=str,
)
def test_21_an_answer_that_cannot_be_used_says_what_is_wrong(
    given: dict[str, Any], word: str
) -> None:
    problems, _ = checked(given)
    assert problems
    assert word in problems[0]


async def test_21_changes_that_nobody_checked_do_not_run_as_something_else() -> None:
    for changes in ({"amount": 30}, {"zz": 1}, {"amount": "-1"}):
        async with DurableTest(bank()) as host:
            run = await host.start("pay")
            await answer(host, run, "q1", {"approved": True, "arguments": changes})
            assert run.output["is_error"]
            assert "was not run" in run.output["text"]
            assert CALLS == []


@pytest.mark.parametrize(
    ("text", "approved"),
    [
        ("true", True),
        ('{"approved": true}', True),
        ("false", False),
        ('"true"', False),
        ('{"approved": "true"}', False),
        ('{"approved": 1}', False),
        ("1", False),
        ("[true]", False),
        ("null", False),
    ],
)
def test_only_a_plain_yes_is_one(text: str, approved: bool) -> None:
    came = Answer(request="q1", status="answered", text=text, by=PAT)
    assert came.approved == approved
    assert (decided(PREPARED, came).call.action == "run") == approved


def test_an_approval_as_it_is_needs_no_note_and_has_the_fingerprint_that_was_shown() -> None:
    came = Answer(request="q1", status="answered", text='{"approved": true}')
    decision = decided(PREPARED, came)
    assert decision == Decision(
        PREPARED.model_copy(update={"approval": False}),
        json.loads(REQUEST.details)["fingerprint"],
    )
