"""429 in all its meanings: what waiting cures is waited for, durably, and nothing else."""

from datetime import timedelta

import pytest

from durable_agents import Agent
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import only_run
from tests.durable_agents.scripted_model import ScriptedModel, fails, refuses, says

ADA = Agent(name="Ada")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("insufficient_quota", "insufficient_quota"),
        (None, "insufficient_quota"),
        ("billing_hard_limit_reached", ""),
    ],
)
async def test_used_up_quota_is_asked_once_and_answered_at_once(
    hosting: Hosting, model: ScriptedModel, code: str | None, kind: str
) -> None:
    """Case 29 (a)."""
    model.will(refuses(429, code=code, type=kind, message="You exceeded your current quota."))
    async with hosting(ADA) as host:
        problem = await host.problem()
        run = only_run(host)
        assert (run.timers, run.elapsed) == ([], timedelta())
    assert len(model.requests) == 1
    assert problem["code"] == "ModelRejected"
    assert "quota is used up" in problem["cause"]


async def test_wait_of_days_is_the_callers_to_decide(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 29 (b)."""
    model.will(fails(429, retry_after="1382400"))
    async with hosting(ADA) as host:
        answer = await host.ask()
        assert only_run(host).timers == []
    assert len(model.requests) == 1
    assert (answer.status, answer.json()["code"]) == (429, "ModelRateLimited")
    assert answer.headers["retry-after"] == "1382400"


async def test_call_with_a_time_limit_ends_at_it_whatever_the_server_wants(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 29 (c)."""
    model.will(fails(429, retry_after="3600"))
    async with hosting(ADA) as host:
        problem = await host.problem(timeout=60)
        assert only_run(host).elapsed <= timedelta(seconds=60)
    assert len(model.requests) == 1
    assert problem["code"] in ("AgentTimeout", "ModelRateLimited")


async def test_limit_without_a_header_is_tried_again_by_durable_timers(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 29 (d): no worker is held while it waits."""
    model.will(fails(429), fails(429), says("At last."))
    async with hosting(ADA) as host:
        assert (await host.answered())["response"] == "At last."
        assert only_run(host).timers == [timedelta(seconds=5), timedelta(seconds=10)]
    assert len(model.requests) == 3


@pytest.mark.parametrize("header", ["soon", "-1", "1e9", "", "NaN", "9" * 400, "inf", "1,5"])
async def test_header_that_is_no_time_is_ignored(
    hosting: Hosting, model: ScriptedModel, header: str
) -> None:
    """Case 29 (e)."""
    model.will(fails(429, retry_after=header), says("At last."))
    async with hosting(ADA) as host:
        assert (await host.answered())["response"] == "At last."
        assert only_run(host).timers == [timedelta(seconds=5)]
    assert len(model.requests) == 2


async def test_limit_that_lasts_is_told_with_the_servers_wait(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Of the kind of case 29: after its attempts the caller is told when to come again."""
    model.will(fails(429, retry_after="7"))
    async with hosting(ADA) as host:
        answer = await host.ask()
        assert only_run(host).timers == [timedelta(seconds=7), timedelta(seconds=10)]
    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert len(model.requests) == 3


async def test_wait_is_not_begun_anew_by_kills(hosting: Hosting, model: ScriptedModel) -> None:
    """Of the kind of case 29: the timer is durable."""
    model.will(fails(429, retry_after="3600"), says("At last."))
    async with hosting(ADA) as host:
        run = await host.start(
            "run-Ada",
            {
                "agent": "Ada",
                "messages": [{"role": "user", "parts": [{"text": "Go."}]}],
                "policy": {"attempts": 2},
            },
        )
        await host.advance(minutes=59)
        host.kill()
        await host.advance(seconds=59)
        assert len(model.requests) == 1
        await host.advance(seconds=1)
        assert run.output["text"] == "At last."
