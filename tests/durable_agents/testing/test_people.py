"""A test answers what people are asked, by the way that answers take."""

import sys
from subprocess import run as run_process

import pytest

from durable_agents import Agent, AgentFunctionApp, tool
from durable_agents.testing import (
    DurableTest,
    ScriptedModel,
    assert_called,
    assert_completed,
    assert_waiting,
    calls,
)


@tool(approval="always")
def wire(to: str, amount: int) -> str:
    """Send money."""
    return f"{amount} to {to}"


def bank(model: ScriptedModel) -> AgentFunctionApp:
    app = AgentFunctionApp([Agent(name="Teller", tools=[wire], chat_client=model)])

    @app.orchestration_trigger(context_name="context")
    def pays(context: object) -> object:
        reply = yield app.get_agent(context, "Teller").run("Pay.")  # pyright: ignore
        return reply.text  # pyright: ignore

    return app


TWO = calls(("wire", {"to": "Bo", "amount": 9}), ("wire", {"to": "Al", "amount": 5}))


async def test_each_of_several_requests_is_answered_by_a_word_in_it() -> None:
    async with DurableTest(bank(ScriptedModel([TWO, "Done."]))) as host:
        run = await host.start("pays")
        assert [one["details"]["arguments"]["to"] for one in host.pending(run)] == ["Bo", "Al"]
        with pytest.raises(AssertionError, match="2 requests wait for this answer"):
            await host.answer(run, {"approved": True})
        await host.answer(run, {"approved": True}, request="Bo", who="cleo")
        assert_waiting(run)
        rejected = await host.answer(run, {"approved": False, "reason": "not today"})
        assert rejected.outcome == "accepted"
        assert_completed(run, "Done.")
        (call,) = assert_called(run, "wire", times=1)
        assert call.text == "9 to Bo"
        assert host.pending() == []
        assert await host.replay() == []


async def test_answer_that_is_none_is_told_and_changes_nothing() -> None:
    async with DurableTest(bank(ScriptedModel([TWO]))) as host:
        run = await host.start("pays")
        (first, _) = host.pending(run)
        verdict = await host.answer(run, {"approved": "maybe"}, request=first["request_id"])
        assert verdict.outcome == "invalid"
        assert len(host.pending(run)) == 2


async def test_nobody_is_asked_anything() -> None:
    async with DurableTest(bank(ScriptedModel(["Done."]))) as host:
        run = await host.run("pays")
        with pytest.raises(AssertionError, match="pending: none"):
            await host.answer(run, {"approved": True})


@pytest.mark.parametrize("step", range(1, 26, 3))
async def test_kill_while_people_are_asked_changes_nothing(step: int) -> None:
    async with DurableTest(bank(ScriptedModel([TWO, "Done."])), kill_after=step) as host:
        run = await host.start("pays")
        for word in ("Bo", "Al"):
            await host.answer(run, {"approved": True}, request=word)
        assert_completed(run, "Done.")
        assert {call.runs for call in assert_called(run, "wire", times=2)} == {1}


def test_kit_needs_no_pytest_and_the_library_no_kit() -> None:
    code = (
        "import sys, durable_agents; assert 'durable_agents.testing' not in sys.modules;"
        "import durable_agents.testing; assert not {'pytest', 'local_runtime'} & set(sys.modules)"
    )
    assert run_process([sys.executable, "-c", code], check=False).returncode == 0
