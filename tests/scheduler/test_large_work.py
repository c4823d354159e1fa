"""Work items beyond what a worker receives: one instance fails, and everybody else goes on."""

import asyncio
from collections.abc import AsyncIterator

import grpc.aio
import pytest
from durabletask import task
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.clock import SystemClock
from local_runtime.scheduler.client import MAX_BYTES_KEY, MAX_MESSAGE_BYTES, SchedulerClient
from local_runtime.scheduler.dispatch import large_work
from local_runtime.scheduler.dispatch.streams import PLAIN_BYTES
from local_runtime.scheduler.service import worker_calls

from .conftest import Actions, Hub, Scheduler, Worker, running, text
from .sdk import connected

LARGE = "x" * (PLAIN_BYTES + 100_000)
OK = pb.OperationResult(success=pb.OperationResultSuccess())


class Plain(Worker):
    """A worker whose channel receives what gRPC lets it by default; it comes back when cut off."""

    ended = 0

    async def next(self, patience: float = 10.0) -> pb.WorkItem:
        while True:
            assert self._reader is not None
            found = await self._first(patience)
            if found is not None:
                return found
            self.ended += 1
            await self.connect()

    async def _first(self, patience: float) -> pb.WorkItem | None:
        item = asyncio.create_task(self._items.get())
        await asyncio.wait(
            {item, self._reader}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
        )
        if item.done():
            return item.result()
        item.cancel()
        if not self._reader.done():
            raise TimeoutError
        return None


@pytest.fixture
async def plain(scheduler: Scheduler) -> AsyncIterator[Plain]:
    async with grpc.aio.insecure_channel(scheduler.address) as channel:
        worker = Plain(SchedulerClient(channel, "default"))
        await worker.connect()
        yield worker


async def announcing(hub: Hub, worker: Worker | None = None) -> Worker:
    """A worker that says how much it receives, as the Functions host does."""
    worker = worker or hub.worker()
    metadata = (*hub.client.metadata, (MAX_BYTES_KEY, str(MAX_MESSAGE_BYTES)))
    worker.client = SchedulerClient(hub.client.channel, "default")
    worker.client.metadata = metadata
    await worker.connect()
    return worker


async def signal(hub: Hub, operation: str, size: int = 1, entity: str = "@box@a") -> None:
    request = pb.SignalEntityRequest(instanceId=entity, name=operation, input=text("x" * size))
    await hub.call("SignalEntity", request)


async def entity_state(hub: Hub, entity: str = "@box@a") -> str:
    request = pb.GetEntityRequest(instanceId=entity, includeState=True)
    return (await hub.call("GetEntity", request)).entity.serializedState.value


async def test_a_start_too_large_for_its_worker_fails_with_its_size_and_others_go_on(
    hub: Hub, plain: Plain, act: Actions
) -> None:
    await hub.start("large", input=text(LARGE))
    await hub.start("small")
    await plain.answer_turn(await plain.next(), act.complete())
    assert await hub.status("small") == "COMPLETED"
    with pytest.raises(TimeoutError):
        await plain.next(patience=0.5)
    failure = (await hub.wait("large")).failureDetails
    assert failure.errorType == "WorkItemTooLarge"
    assert "4.1 MiB" in failure.errorMessage
    assert "4.0 MiB (3 streams ended when it was sent)" in failure.errorMessage
    assert plain.ended == 3


async def test_an_input_too_large_fails_its_activity_which_the_orchestrator_sees(
    hub: Hub, plain: Plain, act: Actions
) -> None:
    able = hub.worker()
    able.request.workItemFilters.orchestrations.add(name="flow")
    await announcing(hub, able)
    await plain.lose()
    plain.request.workItemFilters.activities.add(name="step")
    await plain.connect()
    await hub.start()
    await able.answer_turn(await able.next(), act.task(1, given=LARGE), act.task(2))
    seen: dict[str, str] = {}
    running = asyncio.create_task(_answer_activities(plain))
    while len(seen) < 2:
        item = await able.next()
        for event in item.orchestratorRequest.newEvents:
            if event.HasField("taskFailed"):
                seen["failed"] = event.taskFailed.failureDetails.errorType
            elif event.HasField("taskCompleted"):
                seen["completed"] = event.taskCompleted.result.value
        await able.answer_turn(item, *([act.complete()] if len(seen) == 2 else []))
    running.cancel()
    assert seen == {"failed": "WorkItemTooLarge", "completed": '"small"'}
    await hub.wait()


async def _answer_activities(plain: Plain) -> None:
    while True:
        item = await plain.next(patience=60)
        assert item.HasField("activityRequest")
        await plain.answer_activity(item, '"small"')


async def test_an_operation_too_large_fails_alone_and_the_entity_keeps_its_state(
    hub: Hub, plain: Plain
) -> None:
    await signal(hub, "first")
    await plain.answer_entity(await plain.next(), '"state"', OK)
    await signal(hub, "large", len(LARGE))
    await signal(hub, "after")
    item = await plain.next()
    names = [e.entityOperationSignaled.operation for e in item.entityRequestV2.operationRequests]
    assert names == ["after"]
    assert item.entityRequestV2.entityState.value == '"state"'
    await plain.answer_entity(item, '"more"', OK)
    assert await entity_state(hub) == '"more"'


async def test_a_state_that_grew_too_large_fails_its_operations_and_others_go_on(
    hub: Hub, plain: Plain, act: Actions
) -> None:
    await signal(hub, "grow")
    await plain.answer_entity(await plain.next(), LARGE[:4_000_000], OK)
    await signal(hub, "grow", 100)
    await plain.answer_entity(await plain.next(), LARGE, OK)
    for _ in range(5):
        await signal(hub, "more")
    await hub.start()
    await plain.answer_turn(await plain.next(), act.complete())
    await hub.wait()
    with pytest.raises(TimeoutError):
        await plain.next(patience=0.5)
    before = plain.ended
    await signal(hub, "again")
    with pytest.raises(TimeoutError):
        await plain.next(patience=0.5)
    assert plain.ended == before, "what is known to be too large ends no more streams"
    assert await entity_state(hub) == LARGE


async def test_operations_that_fit_by_themselves_are_all_done(hub: Hub, plain: Plain) -> None:
    await signal(hub, "grow")
    await plain.answer_entity(await plain.next(), LARGE[:3_000_000], OK)
    for _ in range(3):
        await signal(hub, "some", 600_000)
    done = 0
    while done < 3:
        item = await plain.next()
        count = len(item.entityRequestV2.operationRequests)
        await plain.answer_entity(item, LARGE[:3_000_000], *[OK] * count)
        done += count
    assert plain.ended <= 1


async def test_a_worker_that_takes_more_gets_it_though_a_plain_one_is_there(
    hub: Hub, plain: Plain, act: Actions
) -> None:
    able = await announcing(hub)
    await hub.start("large", input=text(LARGE))
    item = await able.next()
    assert item.orchestratorRequest.instanceId == "large"
    await able.answer_turn(item, act.complete())
    assert plain.ended == 0


async def test_a_worker_that_takes_more_gets_what_has_ended_a_stream_before(
    hub: Hub, plain: Plain, act: Actions
) -> None:
    await hub.start("large", input=text(LARGE))
    await plain._reader  # the item has ended the stream
    able = await announcing(hub)
    item = await able.next()
    await able.answer_turn(item, act.complete())
    assert (await hub.wait("large")).output.value == '"done"'


async def test_a_worker_of_which_nothing_is_known_is_tried(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start("large", input=text(LARGE))
    await worker.answer_turn(await worker.next(), act.complete())
    assert (await hub.wait("large")).output.value == '"done"'


async def test_an_item_that_has_ended_a_stream_goes_out_alone(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    """So that nothing else is lost with it; what waits meanwhile comes when it is answered."""
    await hub.start("large", input=text(LARGE))
    await worker.next()
    await worker.lose()
    second = hub.worker()
    await second.connect()
    item = await second.next()
    assert item.orchestratorRequest.instanceId == "large"
    await hub.start("small")
    assert await second.nothing_comes()
    await second.answer_turn(item, act.complete())
    assert (await second.next()).orchestratorRequest.instanceId == "small"


async def test_an_item_that_waits_for_an_idle_worker_goes_out_after_a_while_all_the_same(
    hub: Hub, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_work, "ALONE_SECONDS", 0.2)
    monkeypatch.setattr(worker_calls, "LOOK_SECONDS", 0.02)
    await hub.start("busy")
    await worker.next()
    await hub.start("large", input=text(LARGE))
    await worker.next()
    await worker.lose()
    second = hub.worker()
    await second.connect()
    names = [(await second.next()).orchestratorRequest.instanceId for _ in range(2)]
    assert names == ["busy", "large"]


async def test_an_instance_that_ends_while_its_item_waits_is_forgotten(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start("busy")
    await worker.next()
    await hub.start("large", input=text(LARGE))
    await worker.next()
    await worker.lose()
    second = hub.worker()
    await second.connect()
    assert (await second.next()).orchestratorRequest.instanceId == "busy"
    request = pb.TerminateRequest(instanceId="large")
    await hub.call("TerminateInstance", request)
    assert await hub.status("large") == "TERMINATED"
    await hub.start("large", orchestrationIdReusePolicy=_replacing())
    assert (await second.next()).orchestratorRequest.instanceId == "large"


def _replacing() -> pb.OrchestrationIdReusePolicy:
    return pb.OrchestrationIdReusePolicy(replaceableStatus=[pb.ORCHESTRATION_STATUS_TERMINATED])


async def test_a_worker_of_the_python_sdk_goes_on_with_everything_else(tmp_path) -> None:
    def do_add(_: task.ActivityContext, number: int) -> int:
        return number + 1

    def chain(context: task.OrchestrationContext, number: int):
        for _ in range(3):
            number = yield context.call_activity(do_add, input=number)
        return number

    def wide(context: task.OrchestrationContext, given: str):
        return len(given)

    async with running(tmp_path / "data", SystemClock()) as address, connected(address) as sdk:
        sdk.has(do_add, chain, wide)
        large = await sdk.client.schedule_new_orchestration(wide, input=LARGE)
        ids = [await sdk.client.schedule_new_orchestration(chain, input=n) for n in range(5)]
        for instance_id in ids:
            state = await sdk.client.wait_for_orchestration_completion(instance_id, timeout=60)
            assert state.runtime_status.name == "COMPLETED"
        state = await sdk.client.wait_for_orchestration_completion(
            large, timeout=60, fetch_payloads=False
        )
        assert state.runtime_status.name == "FAILED"
