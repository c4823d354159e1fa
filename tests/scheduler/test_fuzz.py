"""Hostile bytes and messages: an error status, never a crash, never a spoilt instance."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_runtime.scheduler.service.methods import ON_HUBS, STREAMS, UNARY

from . import hostile
from .audit import faults
from .conftest import Actions, Hub, Scheduler, Worker

CODE = grpc.StatusCode
REFUSALS = {
    CODE.INVALID_ARGUMENT,
    CODE.NOT_FOUND,
    CODE.ALREADY_EXISTS,
    CODE.FAILED_PRECONDITION,
}
REQUESTS: dict[str, type[Message]] = {
    name: request for name, (_, request, *_) in {**UNARY, **STREAMS}.items()
}
ANSWERS = ("CompleteOrchestratorTask", "CompleteActivityTask", "CompleteEntityTask")
numbers = itertools.count()
fuzz = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Attacker:
    """Sends what it is given, and tells how the scheduler took it."""

    def __init__(
        self,
        scheduler: Scheduler,
        hub: Hub,
        channel: grpc.aio.Channel,
        log: pytest.LogCaptureFixture,
    ) -> None:
        self.hub = hub
        self.log = log
        self.path = scheduler.folder / "default.taskhub.db"
        self.channel = channel

    async def send(self, method: str, request: bytes | Message) -> grpc.StatusCode:
        data = request if isinstance(request, bytes) else request.SerializeToString()
        path = f"/TaskHubSidecarService/{method}"
        try:
            if method in STREAMS:
                call = self.channel.unary_stream(path)(data, timeout=10)
                await call.read()
                call.cancel()
            else:
                # Waiting for what never ends is no fault: it is cut short.
                timeout = 0.02 if method.startswith("WaitFor") else 10
                await self.channel.unary_unary(path)(data, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            waited = method.startswith("WaitFor") and error.code() is CODE.DEADLINE_EXCEEDED
            return CODE.OK if waited else error.code()
        return CODE.OK

    async def is_sound(self, worker: Worker) -> None:
        """Whatever was sent: nothing has crashed, the file is sound, a plain workflow runs."""
        assert [record for record in self.log.records if record.exc_info] == []
        assert faults(self.path) == []
        name = f"plain{next(numbers)}"
        await self.hub.start(name)
        turn = await turn_of(worker, name)
        await worker.answer_turn(turn, Actions.complete())
        assert (await self.hub.wait(name)).output.value == '"done"'


async def turn_of(worker: Worker, instance_id: str) -> pb.WorkItem:
    """The next turn of an instance; whatever else there is to do is done."""
    while (item := await worker.next(3)).orchestratorRequest.instanceId != instance_id:
        await finish(worker, item)
    return item


async def finish(worker: Worker, item: pb.WorkItem) -> None:
    match item.WhichOneof("request"):
        case "orchestratorRequest":
            await worker.answer_turn(item, Actions.complete())
        case "activityRequest":
            await worker.answer_activity(item, "1")
        case _:
            count = len(item.entityRequestV2.operationRequests)
            ok = pb.OperationResult(success=pb.OperationResultSuccess())
            await worker.answer_entity(item, "1", *[ok] * count)


@pytest.fixture
async def attacker(
    scheduler: Scheduler, hub: Hub, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Attacker]:
    async with grpc.aio.insecure_channel(scheduler.address) as channel:
        yield Attacker(scheduler, hub, channel, caplog)


async def test_bytes_that_are_no_message_are_refused_by_every_method(attacker: Attacker) -> None:
    refused = {
        name
        for name, request in REQUESTS.items()
        if request.DESCRIPTOR.fields
        and await attacker.send(name, b"\xff\xff\xff\xff") is CODE.INVALID_ARGUMENT
    }
    assert refused == {name for name, request in REQUESTS.items() if request.DESCRIPTOR.fields}


@fuzz
@given(method=st.sampled_from(sorted({**REQUESTS, **ON_HUBS})), data=st.binary(max_size=60))
async def test_any_bytes_get_a_status(attacker: Attacker, method: str, data: bytes) -> None:
    assert await attacker.send(method, data) in {CODE.OK, *REFUSALS}


@fuzz
@given(data=st.data())
async def test_any_request_gets_a_status(
    attacker: Attacker, worker: Worker, data: st.DataObject
) -> None:
    method = data.draw(st.sampled_from(sorted(REQUESTS)))
    request = data.draw(hostile.message(REQUESTS[method]))
    assert await attacker.send(method, request) in {CODE.OK, *REFUSALS}
    await attacker.is_sound(worker)


@fuzz
@given(
    actions=st.lists(hostile.actions(), max_size=4),
    rest=hostile.message(pb.OrchestratorResponse, depth=1),
)
async def test_any_answer_to_a_turn_gets_a_status(
    attacker: Attacker, worker: Worker, actions: list[pb.OrchestratorAction], rest: Any
) -> None:
    name = f"wf{next(numbers)}"
    await attacker.hub.start(name)
    rest.ClearField("actions")
    rest.completionToken = (await turn_of(worker, name)).completionToken
    rest.actions.extend(actions)
    assert await attacker.send("CompleteOrchestratorTask", rest) in {CODE.OK, *REFUSALS}
    await attacker.is_sound(worker)
    await attacker.send("TerminateInstance", pb.TerminateRequest(instanceId=name))
    assert faults(attacker.path) == []


@fuzz
@given(result=hostile.message(pb.EntityBatchResult), signals=st.integers(1, 3))
async def test_any_answer_of_an_entity_gets_a_status(
    attacker: Attacker, worker: Worker, result: Any, signals: int
) -> None:
    entity = f"@counter@{next(numbers)}"
    for _ in range(signals):
        await attacker.send("SignalEntity", pb.SignalEntityRequest(instanceId=entity, name="add"))
    while (item := await worker.next(3)).entityRequestV2.instanceId != entity:
        await finish(worker, item)
    result.completionToken = item.completionToken
    assert await attacker.send("CompleteEntityTask", result) in {CODE.OK, *REFUSALS}
    await attacker.is_sound(worker)
    await attacker.send("PurgeInstances", pb.PurgeInstancesRequest(instanceId=entity))
