"""A kill at any step loses what runs, and changes no result."""

import asyncio
from typing import Any

import azure.durable_functions as df
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_agents.testing import DurableTest, assert_completed, assert_waiting
from tests.durable_agents.testing.random_flows import Step, create_app, flows
from tests.durable_agents.testing.shop import create_app as create_shop

EVENTS = [("RED", 1), ("blue", 2), ("red", 3)] * 3

property_test = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


async def outcome(steps: list[Step], ran: list[str], **options: Any) -> tuple[Any, ...]:
    """Run a flow to where nothing brings it on; return all that a user could see of it."""
    async with DurableTest(lambda: create_app(ran), **options) as host:
        run = await host.start("steps", {"done": [], "steps": steps}, instance_id="one")
        for name, data in EVENTS:
            await host.raise_event(run, name, data)
            await host.advance(seconds=40)
        await host.advance(days=1)
        assert await host.replay() == []
        seen = run.status, run.output, run.activities, run.timers, host.entity("pot", "one")
        return seen, host.steps


@property_test
@given(flows, st.integers(1, 30))
def test_kill_at_any_step_changes_no_result(steps: list[Step], step: int) -> None:
    ran_once: list[str] = []
    ran_with_kill: list[str] = []
    undisturbed, _ = asyncio.run(outcome(steps, ran_once))
    killed, _ = asyncio.run(outcome(steps, ran_with_kill, kill_after=step))
    assert killed == undisturbed
    # What was recorded does not run again; what ran beside it may.
    assert set(ran_with_kill) == set(ran_once)
    assert len(ran_with_kill) >= len(ran_once)


@property_test
@given(flows)
def test_two_runs_of_a_test_are_the_same(steps: list[Step]) -> None:
    first, second = [asyncio.run(outcome(steps, [])) for _ in range(2)]
    assert first == second


async def test_activity_whose_result_is_lost_runs_again() -> None:
    ran: list[str] = []
    async with DurableTest(create_app(ran)) as host:
        host.lose_result("double", times=2)
        run = await host.run("steps", {"done": [], "steps": [["double", 4]]})
    assert_completed(run, [8])
    assert ran == ["double 4"] * 3
    assert [call.runs for call in run.calls("double")] == [3]


async def test_activity_that_takes_long_is_lost_by_a_kill_and_runs_again() -> None:
    ran: list[str] = []
    async with DurableTest(create_app(ran)) as host:
        host.takes("double", 60)
        run = await host.start("steps", {"done": [], "steps": [["double", 4]]})
        await host.advance(seconds=30)
        host.kill()
        await host.advance(seconds=59)
        assert_waiting(run)
        await host.advance(seconds=1)
    assert_completed(run, [8])
    assert ran == ["double 4"] * 2


async def test_app_that_is_made_by_a_function_is_made_anew_by_a_kill() -> None:
    made: list[df.DFApp] = []

    def make() -> df.DFApp:
        made.append(create_app())
        return made[-1]

    async with DurableTest(make) as host:
        run = await host.start("steps", {"done": [], "steps": [["event", "go"]]})
        host.kill()
        await host.raise_event(run, "go", "on")
    assert len(made) == 2
    assert_completed(run, ["on"])


@pytest.mark.parametrize("flow", ["native", "approval"])
async def test_kill_during_a_request_breaks_its_connection(flow: str) -> None:
    async with DurableTest(create_shop, kill_after=1) as host:
        with pytest.raises(ConnectionResetError, match="killed during POST"):
            await host.request("POST", f"/api/flows/{flow}", json=1)
        (run,) = host.runs
        await host.raise_event(run, "answer", [2, 1.0])
        assert_completed(run, [2, 1.0])
