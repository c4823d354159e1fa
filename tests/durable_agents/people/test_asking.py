"""Orchestrations that ask people: answers, deadlines, reminders, cancels and kills in any order."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import pytest
from durabletask.task import OrchestrationContext, when_all, when_any

from durable_agents.people import Asking, Escalation, HumanRequest, answer_event, ask_person
from durable_agents.testing import START, DurableTest
from tests.durable_agents.people.desk import (
    PAT,
    SAM,
    TOLD,
    answer,
    app,
    ask,
    pending,
    result,
    send,
    state,
)

QUESTION = {"id": "q1", "question": "May I?", "timeout": 3600}


async def test_an_answer_that_is_accepted_ends_the_wait() -> None:
    async with DurableTest(app()) as host:
        run = await host.start("ask", QUESTION)
        assert pending(host, (run, "q1")) == ["q1"]
        await host.advance(minutes=5)
        verdict = await answer(host, run, "q1", {"approved": True, "reason": "fine"})
        assert (verdict.outcome, verdict.code) == ("accepted", 200)
        assert run.status == "Completed"
        came = result(run)
        assert came.status == "answered"
        assert came.approved
        assert came.value == {"approved": True, "reason": "fine"}
        assert came.by == PAT
        assert came.at == "2026-01-01T00:05:00+00:00"
        assert pending(host, (run, "q1")) == []


async def test_the_audit_says_who_did_what_and_when() -> None:
    async with DurableTest(app()) as host:
        run = await host.start("ask", {**QUESTION, "reminders": [60], "details": '{"x": 1}'})
        await host.advance(minutes=2)
        await answer(host, run, "q1", False)
        audit = state(host, run, "q1")["audit"]
        assert [entry["what"] for entry in audit] == ["opened", "reminded", "answered"]
        assert audit[1]["at"] == "2026-01-01T00:01:00+00:00"
        assert audit[2]["by"] == {"id": "p1", "name": "Pat"}
        assert audit[2]["detail"] == "false"
        assert not result(run).approved


async def test_a_deadline_is_not_a_rejection_and_nothing_comes_after_it() -> None:
    async with DurableTest(app()) as host:
        run = await host.start("ask", QUESTION)
        await host.advance(hours=1)
        assert run.status == "Completed"
        assert result(run).status == "expired"
        assert result(run).value is None
        verdict = await answer(host, run, "q1", True)
        assert (verdict.outcome, verdict.code) == ("too_late", 410)
        assert state(host, run, "q1")["status"] == "expired"


async def test_a_second_answer_is_refused_whoever_gives_it() -> None:
    async with DurableTest(app()) as host:
        run = await host.start("ask", QUESTION)
        assert (await answer(host, run, "q1", 1)).outcome == "accepted"
        again = await answer(host, run, "q1", 2, SAM)
        assert (again.outcome, again.code) == ("already_answered", 409)
        assert result(run).value == 1


async def test_two_answers_at_once_are_one_answer() -> None:
    def rush(context: OrchestrationContext, given: Any) -> Generator[Any, Any, Any]:
        tasks = [context.call_sub_orchestrator("BuiltIn__Answer", input=one) for one in given]
        return (yield when_all(tasks))

    async with DurableTest(app(rush=rush)) as host:
        run = await host.start("ask", QUESTION)
        both = [{"instance": run.id, "request": "q1", "answer": str(number)} for number in range(5)]
        outcomes = [one["outcome"] for one in (await host.run("rush", both)).output]
        assert outcomes.count("accepted") == 1
        assert outcomes.count("already_answered") == 4
        assert result(run).value == outcomes.index("accepted")


async def test_an_answer_to_what_nobody_asked_is_remembered_by_nobody() -> None:
    async with DurableTest(app()) as host:
        run = await host.start("ask", QUESTION)
        for request in ("q2", "Q1", "", "../q1"):
            verdict = await answer(host, run, request or "-", True)
            assert (verdict.outcome, verdict.code) == ("unknown", 404)
        stranger = await host.run("ask", {**QUESTION, "timeout": 1})
        assert (await answer(host, stranger, "q9", True)).code == 404
        later = await host.start("ask", {**QUESTION, "id": "q2"}, instance_id="later")
        assert later.status == "Running"
        assert run.status == "Running"


async def test_wrong_answers_and_strangers_leave_the_request_open() -> None:
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'
    asked = {**QUESTION, "answer_schema": schema, "answerers": ["p1", "sam@example.com"]}
    async with DurableTest(app()) as host:
        run = await host.start("ask", asked)
        for wrong in (
            {"n": "x"},
            {},
            5,
            "{",
            '{"n": NaN}',
            '{"n": 1, "__class__": "x"}',
            "[" * 9999,
        ):
            verdict = await answer(host, run, "q1", wrong)
            assert (verdict.outcome, verdict.code) == ("invalid", 422), wrong
            assert verdict.problems
        huge = await answer(host, run, "q1", {"n": 1, "x": "y" * 70_000})
        assert huge.code == 422
        for who in (None, PAT.model_copy(update={"id": "p2"})):
            verdict = await answer(host, run, "q1", {"n": 1}, who)
            assert (verdict.outcome, verdict.code) == ("not_allowed", 403)
        assert pending(host, (run, "q1")) == ["q1"]
        assert (await answer(host, run, "q1", {"n": 1}, SAM)).outcome == "accepted"
        assert result(run).value == {"n": 1}


async def test_several_people_have_to_say_yes_each_once() -> None:
    asked = {**QUESTION, "needed": 2, "answerers": ["p1", "s1", "x1"]}
    async with DurableTest(app()) as host:
        run = await host.start("ask", asked)
        first = await answer(host, run, "q1", {"approved": True})
        assert (first.outcome, first.decided) == ("accepted", False)
        assert (await answer(host, run, "q1", True)).code == 409
        assert (await answer(host, run, "q1", True, None)).code == 403
        assert (await answer(host, run, "q1", {"approved": True, "arguments": {}}, SAM)).code == 422
        assert pending(host, (run, "q1")) == ["q1"]
        assert run.status == "Running"
        assert (await answer(host, run, "q1", True, SAM)).decided
        assert result(run).approved
        whats = [entry["what"] for entry in state(host, run, "q1")["audit"]]
        assert whats == ["opened", "agreed", "refused", "refused", "refused", "answered"]


async def test_the_first_no_decides_though_several_have_said_yes() -> None:
    async with DurableTest(app()) as host:
        run = await host.start("ask", {**QUESTION, "needed": 3})
        await answer(host, run, "q1", True)
        assert (await answer(host, run, "q1", {"approved": False}, SAM)).decided
        assert result(run).status == "answered"
        assert not result(run).approved
        half = await host.start("ask", {**QUESTION, "needed": 2})
        await answer(host, half, "q1", True)
        await host.result(half)
        assert result(half).status == "expired"


async def test_an_event_without_an_answer_means_nothing() -> None:
    async with DurableTest(app()) as host:
        run = await host.start("ask", QUESTION)
        await host.raise_event(run, answer_event("q1"), {"approved": True})
        await host.raise_event(run, answer_event("q1"), None)
        assert run.status == "Running"
        assert (await answer(host, run, "q1", "yes")).outcome == "accepted"
        assert result(run).value == "yes"


async def test_several_requests_are_answered_in_any_order() -> None:
    def three(context: OrchestrationContext, given: Any) -> Generator[Any, Any, Any]:
        tasks = [
            Asking(context, HumanRequest(id=id, question="?", timeout=60)) for id in ("a", "A", "b")
        ]
        answers = yield when_all(tasks)
        return [one.to_json() for one in answers]

    async with DurableTest(app(three=three)) as host:
        run = await host.start("three")
        assert pending(host, (run, "b"), (run, "A"), (run, "a")) == ["A", "a", "b"]
        assert (await answer(host, run, "b", 3)).outcome == "accepted"
        assert (await answer(host, run, "A", 2)).outcome == "accepted"
        assert pending(host, (run, "a"), (run, "A"), (run, "b")) == ["a"]
        assert run.status == "Running"
        await host.advance(seconds=60)
        assert [one.get("text") for one in run.output] == [None, "2", "3"]
        assert [one["status"] for one in run.output] == ["expired", "answered", "answered"]


async def test_people_are_reminded_and_the_request_goes_up_the_chain() -> None:
    TOLD.clear()
    asked = HumanRequest(
        id="q1",
        question="May I?",
        timeout=600,
        answerers=("p1",),
        reminders=(60, 120, 5000),
        escalations=(Escalation(after=90, to=("s1",)), Escalation(after=300, to=("boss",))),
        notify="mail",
    )
    async with DurableTest(app()) as host:
        run = await host.start("ask", asked.model_dump(mode="json"))
        assert (await answer(host, run, "q1", True, SAM)).outcome == "not_allowed"
        await host.advance(seconds=301)
        # The activity that tells people fails each time: that is no matter of the request.
        assert [one["event"] for one in TOLD] == [
            "opened",
            "reminded",
            "escalated",
            "reminded",
            "escalated",
        ]
        assert TOLD[-1]["request"]["answerers"] == ["p1", "s1", "boss"]
        assert (await answer(host, run, "q1", True, SAM)).outcome == "accepted"
        assert result(run).approved


async def test_there_is_one_timer_at_a_time() -> None:
    asked = {**QUESTION, "reminders": [60, 120]}
    async with DurableTest(app()) as host:
        run = await host.start("ask", asked)
        await host.advance(seconds=90)
        await answer(host, run, "q1", True)
        assert run.timers == [timedelta(seconds=60), timedelta(seconds=60)]


async def test_a_request_without_a_deadline_waits_without_a_timer() -> None:
    async with DurableTest(app()) as host:
        run = await host.start("ask", {"id": "q1", "question": "?"})
        assert host.next_due is None
        await host.advance(days=400)
        assert (await answer(host, run, "q1", True)).outcome == "accepted"
        assert run.timers == []


async def test_a_cancelled_wait_takes_its_request_back() -> None:
    async with DurableTest(app()) as host:
        run = await host.start("ask_or_cancel", QUESTION)
        await host.raise_event(run, "cancel", "why")
        assert result(run).status == "withdrawn"
        verdict = await answer(host, run, "q1", True)
        assert (verdict.outcome, verdict.code) == ("too_late", 410)
        assert pending(host, (run, "q1")) == []


async def test_an_answer_that_came_before_the_cancel_counts() -> None:
    async with DurableTest(app()) as host:
        run = await host.start("ask_or_cancel", QUESTION)
        await host.suspend(run)
        assert (await answer(host, run, "q1", True)).outcome == "accepted"
        await host.raise_event(run, "cancel", None)
        await host.resume(run)
        assert result(run).approved


async def test_an_answer_that_came_before_the_deadline_counts_though_it_was_read_after() -> None:
    async with DurableTest(app()) as host:
        run = await host.start("ask", QUESTION)
        await host.suspend(run)
        await host.advance(minutes=59)
        await send(host, run, "q1", True)
        await host.advance(hours=2)
        await host.resume(run)
        assert result(run).approved


async def test_after_the_deadline_no_answer_counts_though_nobody_has_said_so_yet() -> None:
    async with DurableTest(app()) as host:
        run = await host.start("ask", QUESTION)
        await host.suspend(run)
        await host.advance(hours=2)
        assert (await answer(host, run, "q1", True)).code == 410
        await host.resume(run)
        assert result(run).status == "expired"


async def test_a_flow_of_one_argument_asks_as_well() -> None:
    def classic(context: Any) -> Generator[Any, Any, Any]:
        cancel = context.wait_for_external_event("cancel")
        request = HumanRequest(id="q1", question="?", timeout=60, notify="mail")
        answer = yield from ask_person(context, request, cancel=cancel)
        return answer.to_json()

    async with DurableTest(app(classic=classic)) as host:  # type: ignore[arg-type]
        run = await host.start("classic")
        assert (await answer(host, run, "q1", True)).outcome == "accepted"
        assert result(run).approved
        other = await host.run("classic")
        assert result(other).status == "expired"


async def test_an_id_is_made_that_is_the_same_in_every_replay() -> None:
    def twice(context: OrchestrationContext, given: Any) -> Generator[Any, Any, Any]:
        first, second = (Asking(context, HumanRequest(question="?", timeout=9)) for _ in "ab")
        context.set_custom_status([first.request.id, second.request.id])
        yield when_any([first, second])
        yield when_all([first, second])
        return [first.request.id, second.request.id]

    async with DurableTest(app(twice=twice)) as host:
        run = await host.start("twice")
        ids = run.custom_status
        assert len(set(ids)) == 2
        assert (await answer(host, run, ids[1], True)).outcome == "accepted"
        assert (await host.result(run)).output == ids


async def test_a_request_keeps_id_and_deadline_when_its_orchestration_continues_as_new() -> None:
    def desk(context: OrchestrationContext, execution: Any) -> Generator[Any, Any, Any]:
        request = HumanRequest(id="q1", question="?", timeout=600, reminders=(60,), notify="mail")
        asking = Asking(context, request)
        if execution < 3:
            next_page = context.wait_for_external_event("next")
            yield when_any([asking, next_page])
            context.continue_as_new(execution + 1)
            return None
        return (yield asking).to_json()

    TOLD.clear()
    async with DurableTest(app(desk=desk)) as host:
        for early in (True, False):
            run = await host.start("desk", 1)
            await host.advance(seconds=100)
            for _ in range(2):
                await host.raise_event(run, "next")
            if early:
                assert (await answer(host, run, "q1", True)).outcome == "accepted"
                assert result(run).approved
            else:
                await host.advance(seconds=499)
                assert run.status == "Running"
                await host.advance(seconds=1)
                assert result(run).status == "expired"
    assert [one["event"] for one in TOLD] == ["opened", "reminded"] * 2


async def test_a_request_is_forgotten_two_weeks_after_who_asked_was_told() -> None:
    async with DurableTest(app()) as host:
        runs = [await host.start("ask", QUESTION) for _ in range(3)]
        answered, expired, waiting = runs
        await host.suspend(waiting)
        for run in (answered, waiting):
            await answer(host, run, "q1", True)
        await host.advance(days=13)
        assert (await answer(host, answered, "q1", True)).code == 409
        assert (await answer(host, expired, "q1", True)).code == 410
        await host.advance(days=90)
        assert state(host, answered, "q1") is None
        assert state(host, expired, "q1") is None
        assert (await answer(host, answered, "q1", True)).code == 404
        # This one has not been told yet.
        await host.resume(waiting)
        assert result(waiting).approved


@pytest.mark.parametrize("kill_after", range(1, 12))
async def test_a_kill_at_any_step_changes_nothing(kill_after: int) -> None:
    async with DurableTest(app, kill_after=kill_after) as host:
        asked = {**QUESTION, "reminders": [60], "notify": "mail"}
        run = await host.start("ask", asked)
        await host.advance(seconds=90)
        assert (await answer(host, run, "q1", {"approved": True})).outcome == "accepted"
        assert (await answer(host, run, "q1", {"approved": False})).code == 409
        await host.result(run)
        assert result(run).approved
        assert host.now == START + timedelta(seconds=90)
        whats = [entry["what"] for entry in state(host, run, "q1")["audit"]]
        assert whats == ["opened", "reminded", "answered", "refused"]


async def test_a_request_that_cannot_be_kept_fails_the_wait() -> None:
    bare = df.DFApp()
    bare.orchestration_trigger("context", "ask")(ask)
    async with DurableTest(bare) as host:
        run = await host.run("ask", QUESTION)
        assert run.status == "Failed"
        assert run.failure is not None
        assert "request 'q1' to a person cannot be kept" in run.failure.message
