"""What the SDK's durable clients ask of a scheduler, the kit's host answers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import grpc
import pytest
from durabletask.client import EntityQuery, OrchestrationQuery, OrchestrationStatus

from durable_agents.testing import START, DurableTest, assert_completed
from tests.durable_agents.testing.shop import STOCK, TILL, create_app


@pytest.fixture
async def host() -> AsyncIterator[DurableTest]:
    async with DurableTest(create_app()) as running:
        yield running


@pytest.fixture
async def client(host: DurableTest) -> df.DurableFunctionsClient:
    return await host.client()


async def test_instances_are_started_once_found_and_purged(host: DurableTest, client: Any) -> None:
    for name in ("a1", "a2", "b1"):
        await client.schedule_new_orchestration("native", input=1, instance_id=name)
    with pytest.raises(grpc.aio.AioRpcError, match="already exists"):
        await client.schedule_new_orchestration("native", input=1, instance_id="a1")
    await host.start("approval", instance_id="c1")
    by_prefix = OrchestrationQuery(instance_id_prefix="a", max_instance_count=1)
    found = await client.get_all_orchestration_states(by_prefix)
    assert [state.instance_id for state in found] == ["a2", "a1"]
    ended = [OrchestrationStatus.COMPLETED]
    assert (await client.purge_orchestrations_by(runtime_status=ended)).deleted_instance_count == 3
    assert [run.id for run in host.runs] == ["c1"]
    assert (await client.purge_orchestration("c1")).deleted_instance_count == 0


async def test_start_for_later_waits_until_then(host: DurableTest, client: Any) -> None:
    at = START + timedelta(hours=2)
    await client.schedule_new_orchestration("native", input=1, instance_id="one", start_at=at)
    await host.advance(hours=1)
    assert host.find("one").status == "Pending"
    await host.advance(hours=1)
    assert_completed(host.find("one"), [2, 1.0])


async def test_people_control_instances(host: DurableTest, client: Any) -> None:
    run = await host.start("approval")
    await client.suspend_orchestration(run.id)
    await client.raise_orchestration_event(run.id, "answer", data=1)
    await host.settle()
    assert run.status == "Suspended"
    await client.resume_orchestration(run.id)
    await host.settle()
    assert_completed(run, 1)
    other = await host.start("above")
    await client.terminate_orchestration(other.id, output="enough")
    await host.settle()
    assert {other.status, other.children[0].status} == {"Terminated"}
    with pytest.raises(grpc.aio.AioRpcError, match="no orchestration instance"):
        await client.raise_orchestration_event("nobody", "answer")


async def test_wait_ends_with_the_instance_or_at_its_timeout(
    host: DurableTest, client: Any
) -> None:
    run = await host.start("approval")
    waits = [
        asyncio.create_task(client.wait_for_orchestration_completion(run.id, timeout=seconds))
        for seconds in (600, 7200)
    ]
    while len(host._hub.polls) < 2:
        await host._hub.change()
    await host.advance(hours=1)
    with pytest.raises(TimeoutError):
        await waits[0]
    await host.raise_event(run, "answer", "yes")
    assert (await waits[1]).get_output() == "yes"
    # They were the test's own: nothing waited for them.
    assert host.now == START + timedelta(hours=1)


async def test_entities_are_signalled_read_and_listed(host: DurableTest, client: Any) -> None:
    await client.signal_entity(STOCK, "add", 5)
    await client.signal_entity(STOCK, "add", 1, signal_time=START + timedelta(hours=1))
    await host.settle()
    found = await client.get_entity(STOCK)
    assert (found.get_typed_state(), found.backlog_queue_size) == (5, 0)
    await host.advance(hours=1)
    everything = await client.get_all_entities(EntityQuery(page_size=1))
    assert {str(one.id): one.get_typed_state() for one in everything} == {
        str(STOCK): 6,
        str(TILL): [5, 1],
    }
    (till,) = await client.get_all_entities(EntityQuery(instance_id_starts_with="@Till"))
    assert till.id == TILL
    await client.purge_orchestration(str(STOCK))
    assert host.entity("Stock", "all") == 6  # the call is for orchestrations


async def test_reply_that_comes_while_time_stands_is_not_given_up(host: DurableTest) -> None:
    host.takes("double", 59)
    answer = await host.request("POST", "/api/flows/native", json=1)
    assert answer.json()["output"] == [2, 1.0]
    assert host.now == START + timedelta(seconds=59)
    host.takes("double", 61)
    assert (await host.request("POST", "/api/flows/native", json=1)).status == 202


def waiting_app() -> df.DFApp:
    app = create_app()

    @app.activity_trigger(input_name="name")
    @app.durable_client_input(client_name="client")
    async def waits_for(name: str, client: df.DurableFunctionsClient) -> str:
        started = await client.schedule_new_orchestration(name)
        state = await client.wait_for_orchestration_completion(started, timeout=10**7)
        assert state is not None
        return str(state.runtime_status.name)

    @app.activity_trigger(input_name="name")
    @app.durable_client_input(client_name="client")
    async def polls(name: str, client: df.DurableFunctionsClient) -> str:
        started = await client.schedule_new_orchestration("native", input=4)
        while True:
            state = await client.get_orchestration_state(started)
            if state is not None and state.get_output() is not None:
                return name
            await asyncio.sleep(0.01)

    @app.orchestration_trigger(context_name="context")
    def above_an_activity(context: Any, given: list[str]) -> Any:
        return (yield context.call_activity(given[0], input=given[1]))

    return app


async def test_activity_that_waits_for_an_orchestration_lets_time_pass() -> None:
    async with DurableTest(waiting_app) as host:
        run = await host.start("above_an_activity", ["waits_for", "lasts"])
        await host.advance(days=9)
        assert run.status == "Running"
        await host.advance(days=21)
        assert_completed(run, "COMPLETED")


async def test_activity_that_asks_again_and_again_does_not_stop_what_it_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("durable_agents.testing.work._TOGETHER_SECONDS", 0.05)
    async with DurableTest(waiting_app) as host:
        assert_completed(await host.run("above_an_activity", ["polls", "done"]), "done")
