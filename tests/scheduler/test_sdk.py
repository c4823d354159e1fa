"""The Python SDK's own client and worker against the scheduler."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from durabletask import client, entities, task, worker

from local_runtime.clock import SystemClock

from .conftest import running


class Sdk:
    """A worker with some functions, and a client."""

    def __init__(self, address: str) -> None:
        quiet = logging.getLogger("tests.sdk")
        self.worker = worker.TaskHubGrpcWorker(host_address=address, logger=quiet)
        self.client = client.AsyncTaskHubGrpcClient(host_address=address, logger=quiet)

    def has(self, *functions: Callable[..., Any]) -> None:
        for function in functions:
            parameters = function.__code__.co_varnames
            if function.__name__.startswith("do_"):
                self.worker.add_activity(function)
            elif parameters[0] == "entity":
                self.worker.add_entity(function)
            else:
                self.worker.add_orchestrator(function)
        self.worker.start()

    async def run(self, function: Callable[..., Any], given: Any = None) -> Any:
        instance_id = await self.client.schedule_new_orchestration(function, input=given)
        return await self.finished(instance_id)

    async def finished(self, instance_id: str) -> client.OrchestrationState:
        state = await self.client.wait_for_orchestration_completion(instance_id, timeout=20)
        assert state is not None
        return state


type Stop = Callable[[Callable[[], None]], object]


@pytest.fixture(scope="module")
def in_the_background() -> Iterator[Stop]:
    """Stops workers while the next tests run: the SDK's looks once a second whether it shall."""
    stops: list[Future[None]] = []
    with ThreadPoolExecutor(max_workers=16) as threads:
        yield lambda stop: stops.append(threads.submit(stop))
    for stopped in stops:
        stopped.result()


@pytest.fixture
async def sdk(tmp_path: Path, in_the_background: Stop) -> AsyncIterator[Sdk]:
    async with running(tmp_path / "data", SystemClock()) as address:
        found = Sdk(address)
        yield found
        in_the_background(found.worker.stop)
        with contextlib.suppress(Exception):
            await found.client.close()


def do_double(_: task.ActivityContext, number: int) -> int:
    return number * 2


def chain(context: task.OrchestrationContext, steps: int):
    number = 1
    for _ in range(steps):
        number = yield context.call_activity(do_double, input=number)
    return number


def fan_out(context: task.OrchestrationContext, width: int):
    results = yield task.when_all(
        [context.call_activity(do_double, input=number) for number in range(width)]
    )
    return sum(results)


async def test_a_chain_and_a_wide_fan_out_give_the_right_results(sdk: Sdk) -> None:
    sdk.has(do_double, chain, fan_out)
    assert (await sdk.run(chain, 5)).get_output() == 32
    assert (await sdk.run(fan_out, 300)).get_output() == sum(range(300)) * 2


async def test_an_approval_races_a_timer(sdk: Sdk) -> None:
    def approval(context: task.OrchestrationContext, _: None):
        event = context.wait_for_external_event("answer")
        timer = context.create_timer(timedelta(days=30))
        first = yield task.when_any([event, timer])
        return "timed out" if first is timer else event.get_result()

    sdk.has(approval)
    instance_id = await sdk.client.schedule_new_orchestration(approval)
    await sdk.client.raise_orchestration_event(instance_id, "answer", data="yes")
    assert (await sdk.finished(instance_id)).get_output() == "yes"


async def test_an_activity_is_retried_by_the_workers_policy(sdk: Sdk) -> None:
    tries: list[int] = []

    def do_third_time_lucky(_: task.ActivityContext, __: None) -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")
        return "done"

    def retried(context: task.OrchestrationContext, _: None):
        policy = task.RetryPolicy(
            first_retry_interval=timedelta(milliseconds=20), max_number_of_attempts=5
        )
        return (yield context.call_activity(do_third_time_lucky, retry_policy=policy))

    sdk.has(do_third_time_lucky, retried)
    assert (await sdk.run(retried)).get_output() == "done"
    assert len(tries) == 3


async def test_locked_entities_show_no_intermediate_state(sdk: Sdk) -> None:
    def counter(entity: entities.EntityContext, amount: int | None):
        state = entity.get_state(int, 0)
        if entity.operation == "add":
            entity.set_state(state + amount)
        return entity.get_state(int, 0)

    first = entities.EntityInstanceId("counter", "a")
    second = entities.EntityInstanceId("counter", "b")

    def transfer(context: task.OrchestrationContext, amount: int):
        with (yield context.lock_entities([first, second])):
            before = yield context.call_entity(first, "get")
            yield context.call_entity(first, "add", input=-amount)
            between = yield context.call_entity(second, "get")
            yield context.call_entity(second, "add", input=amount)
        return before + between

    sdk.has(counter, transfer)
    ids = [await sdk.client.schedule_new_orchestration(transfer, input=1) for _ in range(10)]
    seen = [(await sdk.finished(instance_id)).get_output() for instance_id in ids]
    assert seen == [0] * 10


async def test_a_rewound_orchestration_repeats_only_what_failed(sdk: Sdk) -> None:
    calls: list[str] = []
    broken = True

    def do_step(_: task.ActivityContext, name: str) -> str:
        calls.append(name)
        if name == "bad" and broken:
            raise ValueError("broken")
        return name

    def child(context: task.OrchestrationContext, _: None):
        return (yield context.call_activity(do_step, input="bad"))

    def parent(context: task.OrchestrationContext, _: None):
        good = yield context.call_activity(do_step, input="good")
        bad = yield context.call_sub_orchestrator(child)
        return good + bad

    sdk.has(do_step, child, parent)
    instance_id = await sdk.client.schedule_new_orchestration(parent, tags={"t": "1"})
    assert (await sdk.finished(instance_id)).runtime_status is client.OrchestrationStatus.FAILED
    broken = False
    await sdk.client.rewind_orchestration(instance_id, reason="mended")
    state = await sdk.finished(instance_id)
    assert state.get_output() == "goodbad"
    assert calls == ["good", "bad", "bad"]


async def test_only_a_failed_orchestration_can_be_rewound(sdk: Sdk) -> None:
    sdk.has(do_double, chain)
    instance_id = await sdk.client.schedule_new_orchestration(chain, input=1)
    await sdk.finished(instance_id)
    with pytest.raises(grpc.RpcError) as raised:
        await sdk.client.rewind_orchestration(instance_id)
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(grpc.RpcError) as raised:
        await sdk.client.rewind_orchestration("none")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("anew", [True, False])
async def test_a_restarted_orchestration_runs_again_with_its_input(sdk: Sdk, anew: bool) -> None:
    sdk.has(do_double, chain)
    instance_id = await sdk.client.schedule_new_orchestration(chain, input=3)
    await sdk.finished(instance_id)
    again = await sdk.client.restart_orchestration(instance_id, restart_with_new_instance_id=anew)
    assert (again != instance_id) is anew
    assert (await sdk.finished(again)).get_output() == 8


async def test_finished_ids_are_listed_in_pages(sdk: Sdk) -> None:
    sdk.has(do_double, chain)
    ids = [await sdk.client.schedule_new_orchestration(chain, input=1) for _ in range(5)]
    for instance_id in ids:
        await sdk.finished(instance_id)
    found: list[str] = []
    token = None
    while True:
        page = await sdk.client.list_instance_ids(page_size=2, continuation_token=token)
        assert len(page.items) <= 2
        found += page.items
        token = page.continuation_token
        if not token:
            break
    assert sorted(found) == sorted(ids)
    later = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251
    assert (await sdk.client.list_instance_ids(completed_time_from=later)).items == []


async def test_entities_are_queried_by_name_with_their_state(sdk: Sdk) -> None:
    def basket(entity: entities.EntityContext, amount: int):
        entity.set_state(amount)

    def touch(context: task.OrchestrationContext, key: str):
        yield context.call_entity(entities.EntityInstanceId("basket", key), "put", input=7)

    sdk.has(basket, touch)
    for key in ("a", "b"):
        await sdk.run(touch, key)
    query = client.EntityQuery(instance_id_starts_with="Basket@", include_state=True, page_size=1)
    found = await sdk.client.get_all_entities(query)
    assert sorted((e.id.key, e.get_state(int)) for e in found) == [("a", 7), ("b", 7)]
