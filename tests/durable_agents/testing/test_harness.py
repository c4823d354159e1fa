"""The kit runs an app's orchestrations, activities and entities as a scheduler and host do."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from durabletask.entities import EntityInstanceId

from durable_agents.testing import (
    START,
    DurableTest,
    assert_called,
    assert_completed,
    assert_failed,
    assert_waiting,
)
from tests.durable_agents.testing.shop import create_app, throws


@pytest.fixture
async def host() -> AsyncIterator[DurableTest]:
    async with DurableTest(create_app) as running:
        yield running


async def test_activities_run_by_their_names_in_any_case(host: DurableTest) -> None:
    run = await host.run("native", 3)
    assert_completed(run, [6, 3.0])
    assert run.activities == ["double", "half"]
    assert_called(run, "Half", times=1)


async def test_parallel_activities_come_back_in_one_turn(host: DurableTest) -> None:
    run = await host.run("parallel", [1, 2, 3])
    assert_completed(run, [2, 4, 6])
    assert run.turns == 2


async def test_failed_activity_crosses_with_class_and_first_line(host: DurableTest) -> None:
    run = await host.run("odd")
    failure = assert_failed(run, "TaskFailedError", match="3 is odd$")
    assert failure.inner is not None
    assert (failure.inner.type, failure.inner.message) == ("ValueError", "3 is odd")
    assert "halve" in failure.inner.stack


async def test_names_that_the_app_does_not_have_are_refused(host: DurableTest) -> None:
    with pytest.raises(LookupError, match=r"no orchestrator 'nope'; it has: .*native"):
        await host.start("nope")
    await host.run("native", 1, instance_id="one")
    with pytest.raises(ValueError, match="already exists"):
        await host.start("native", 1, instance_id="one")


async def test_day_passes_at_once_and_the_deadline_comes(host: DurableTest) -> None:
    began = time.perf_counter()
    run = await host.start("approval")
    await host.advance(hours=23.9)
    assert_waiting(run)
    assert run.custom_status == {"waits": True}
    await host.advance(hours=0.1)
    assert_completed(run, "too late")
    assert (run.elapsed, run.timers) == (timedelta(hours=24), [timedelta(hours=24)])
    assert time.perf_counter() - began < 1


async def test_event_ends_the_wait_whatever_its_case(host: DurableTest) -> None:
    run = await host.start("approval")
    await host.advance(hours=5)
    await host.raise_event(run, "ANSWER", {"ok": True})
    assert_completed(run, {"ok": True})
    assert host.now == START + timedelta(hours=5)


async def test_event_that_comes_before_its_wait_is_kept(host: DurableTest) -> None:
    run = await host.start("asks_first")
    await host.raise_event(run, "second", 2)
    assert_waiting(run)
    await host.raise_event(run, "first", 1)
    assert_completed(run, [1, 2])


async def test_timers_that_are_set_on_the_way_fire_in_one_advance(host: DurableTest) -> None:
    run = await host.start("lasts")
    await host.advance(days=30)
    assert_completed(run)
    assert len(run.timers) == 30


async def test_result_says_what_an_orchestration_waits_for_in_vain(host: DurableTest) -> None:
    run = await host.start("asks_first")
    with pytest.raises(AssertionError, match="does not end: it waits for an event"):
        await host.result(run)


async def test_sub_orchestrations_have_the_ids_they_were_given(host: DurableTest) -> None:
    run = await host.run("parent", [1, 3])
    assert_completed(run, [[2, 1.0], [6, 3.0]])
    assert [child.id for child in run.children] == ["child-1", "child-3"]
    assert run.activities == ["double", "double", "half", "half"]


async def test_child_whose_id_is_taken_fails_its_task(host: DurableTest) -> None:
    await host.start("asks_first", instance_id="child-1")
    run = await host.run("parent", [1])
    failure = assert_failed(run, "TaskFailedError")
    assert failure.inner is not None
    assert failure.inner.type == "OrchestrationAlreadyExists"


async def test_termination_reaches_the_children(host: DurableTest) -> None:
    run = await host.start("above")
    await host.terminate(run, "enough")
    (child,) = run.children
    assert (run.status, child.status, run.output) == ("Terminated", "Terminated", "enough")
    await host.raise_event(child, "answer")  # nobody listens
    await host.advance(days=2)
    assert child.output == "enough"


async def test_continue_as_new_takes_unread_events_along(host: DurableTest) -> None:
    run = await host.start("counts_down", [3, []])
    for word in ("a", "b", "c"):
        await host.raise_event(run, "word", word)
    assert_completed(await host.result(run), ["a", "b", "c"])
    assert len(run.executions) == 4
    assert run.elapsed == timedelta(minutes=3)
    assert await host.replay() == []


async def test_suspended_orchestration_hears_of_events_when_it_goes_on(host: DurableTest) -> None:
    run = await host.start("approval")
    await host.suspend(run, "wait")
    await host.raise_event(run, "answer", 1)
    assert run.status == "Suspended"
    await host.resume(run)
    assert_completed(run, 1)


async def test_orchestration_tells_another_one(host: DurableTest) -> None:
    waiting = await host.start("approval")
    await host.run("tells", waiting.id)
    assert_completed(waiting, "from another")


async def test_entity_keeps_its_state_and_an_operation_that_fails_changes_none(
    host: DurableTest,
) -> None:
    await host.signal_entity("Stock", "all", "add", 5)
    assert_completed(await host.run("buys", 2), 3)
    assert "there is not so much" in (await host.run("buys", 9)).output
    assert host.entity("stock", "all") == 3
    assert host.entity("Till", "front") == [5, -2]
    assert host.entity("Stock", "none") is None


async def test_entity_starts_an_orchestration(host: DurableTest) -> None:
    await host.signal_entity("Stock", "all", "add", 5)
    await host.signal_entity("Stock", "all", "order", "ordered")
    assert_completed(host.find("ordered"), [10, 5.0])


async def test_signal_for_later_comes_then(host: DurableTest) -> None:
    await host.run("restocks_later", 3600)
    assert host.entity("Stock", "all") is None
    await host.advance(hours=1)
    assert host.entity("Stock", "all") == 5


async def test_locked_entities_are_one_orchestrations_alone(host: DurableTest) -> None:
    first = await host.start("alone", 1)
    second = await host.start("alone", 1)
    await host.signal_entity("Stock", "all", "add", 10)
    assert_completed(await host.result(first), [0, 1])
    # What came between waited, and in its turn.
    assert_completed(await host.result(second), [1, 2])
    assert host.entity("Stock", "all") == 12


async def test_locks_of_an_orchestration_that_ends_are_released(host: DurableTest) -> None:
    first = await host.start("alone", 1)
    second = await host.start("alone", 1)
    await host.terminate(first)
    assert_completed(await host.result(second), [0, 1])


async def test_durable_clients_of_activities_find_the_hosts_state(host: DurableTest) -> None:
    run = await host.run("calls_clients")
    assert_completed(run, [False, "started"])
    assert_completed(host.find("started"), [8, 4.0])
    assert host.entity("Stock", "all") == 7


async def test_held_activity_runs_when_it_is_released(host: DurableTest) -> None:
    host.hold("double")
    run = await host.start("native", 1)
    await host.advance(days=1)
    assert_waiting(run)
    with pytest.raises(AssertionError, match="waits for the activity 'double'"):
        await host.result(run)
    await host.release()
    assert_completed(run)


async def test_activity_takes_as_long_as_the_test_says(host: DurableTest) -> None:
    host.takes("double", timedelta(minutes=5))
    run = await host.run("native", 1)
    assert run.elapsed == timedelta(minutes=5)


async def test_time_does_not_go_back(host: DurableTest) -> None:
    with pytest.raises(ValueError, match="does not go back"):
        await host.advance(to=START - timedelta(seconds=1))


async def test_replay_finds_an_orchestrator_that_is_not_a_function_of_its_history(
    host: DurableTest,
) -> None:
    throws.clear()
    run = await host.run("throws_dice")
    found = await host.replay(run)
    assert found
    assert "throws" not in found[0]
    assert run.id in found[0]


async def test_function_that_never_ends_is_named() -> None:
    app = create_app()

    @app.activity_trigger(input_name="given")
    async def sleeper(given: object) -> None:
        import asyncio

        await asyncio.Event().wait()

    @app.orchestration_trigger(context_name="context")
    def sleeps(context: object) -> object:
        yield context.call_activity("sleeper", 1)  # pyright: ignore

    async with DurableTest(app, patience=0.3) as host:
        with pytest.raises(TimeoutError, match="still run: sleeper"):
            await host.start("sleeps")


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("call_activity", "ActivityFunctionNotFound"),
        ("call_sub_orchestrator", "OrchestratorFunctionNotFound"),
        ("call_entity", "EntityOperationFailedException"),
    ],
)
async def test_unknown_function_fails_the_call_as_on_a_real_host(call: str, kind: str) -> None:
    app = create_app()

    @app.orchestration_trigger(context_name="context")
    def calls_nobody(context: Any, _: Any) -> Any:
        target = [EntityInstanceId("nobody", "x"), "add"] if call == "call_entity" else ["nobody"]
        yield getattr(context, call)(*target)

    async with DurableTest(app) as host:
        run = await host.run("calls_nobody")
    assert run.failure is not None
    inner = run.failure.inner or run.failure
    assert kind in f"{inner}"
    assert "the app has no" in f"{inner}"
