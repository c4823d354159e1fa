"""The server between a durable client and the scheduler: it passes everything on but a start."""

import asyncio
import gc
import json
import socket
import threading

import grpc
import pytest
from azure.durable_functions.client import SyncDurableFunctionsClient
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.functions_host.starts.event_starts import EventStarts
from local_runtime.functions_host.starts.start_guard import StartGuards
from local_runtime.scheduler.client import SchedulerClient


@pytest.fixture
async def guards(scheduler):
    async with (
        SchedulerClient.open(scheduler, "guarded") as client,
        StartGuards(client.channel) as guards,
    ):
        yield guards


def client(address: str) -> AsyncTaskHubGrpcClient:
    return AsyncTaskHubGrpcClient(host_address=address, metadata=[("taskhub", "guarded")])


async def test_a_client_works_through_it_as_with_the_scheduler(guards):
    async with guards.lent("all") as address, client(address) as app:
        started = await app.schedule_new_orchestration("any", input="x" * 5000)
        await app.raise_orchestration_event(started, "e")
        await app.terminate_orchestration(started)
        state = await app.wait_for_orchestration_completion(started)
        assert state.runtime_status == OrchestrationStatus.TERMINATED
        assert state.serialized_input == f'"{"x" * 5000}"'
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await app.terminate_orchestration("none")
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_streams_pass_through_it(guards):
    async with guards.lent("streams") as address, SchedulerClient.open(address, "guarded") as raw:
        await raw.stub.StartInstance(request("streamed"), metadata=raw.metadata)
        ended = pb.TerminateRequest(instanceId="streamed")
        await raw.stub.TerminateInstance(ended, metadata=raw.metadata)
        asked = pb.StreamInstanceHistoryRequest(instanceId="streamed")
        chunks = raw.stub.StreamInstanceHistory(asked, metadata=raw.metadata)
        events = [event async for chunk in chunks for event in chunk.events]
        asked.instanceId = "none"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await raw.stub.StreamInstanceHistory(asked, metadata=raw.metadata).read()

    assert len(events) >= 1
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_an_event_that_comes_again_gets_the_instance_there_is(guards):
    found = []
    for _ in range(2):
        async with guards.lent("again") as address, client(address) as app:
            found.append(await app.schedule_new_orchestration("any", input=1))

    assert found[0] == found[1]


async def test_an_instance_that_is_finished_is_not_replaced_by_the_same_event(guards):
    replace = pb.OrchestrationIdReusePolicy(replaceableStatus=[pb.ORCHESTRATION_STATUS_TERMINATED])
    created = []
    for _ in range(2):
        async with guards.lent("finished") as address, client(address) as app:
            await app.schedule_new_orchestration(
                "any", instance_id="finished", reuse_id_policy=replace
            )
            await app.terminate_orchestration("finished")
            state = await app.wait_for_orchestration_completion("finished")
            created.append(state.created_at)

    assert created[0] == created[1]


async def test_an_id_of_another_event_is_refused_as_ever(guards):
    async with guards.lent("one") as address, client(address) as app:
        await app.schedule_new_orchestration("any", instance_id="taken")
    async with guards.lent("two") as address, client(address) as app:
        with pytest.raises(Exception, match="taken"):
            await app.schedule_new_orchestration("any", instance_id="taken")


def sync_client(address: str) -> SyncDurableFunctionsClient:
    """A client as the SDK makes it for functions that are no coroutines."""
    config = {"taskHubName": "guarded", "rpcBaseUrl": address}
    return SyncDurableFunctionsClient.get_cached(json.dumps(config))


async def test_a_start_that_comes_late_counts_for_its_own_event(guards):
    async with guards.lent("done") as address:
        late = sync_client(address)
    async with guards.lent("next") as address, client(address) as app:
        start = late.schedule_new_orchestration
        started_late = await asyncio.to_thread(start, "any", input=1)
        first = await app.schedule_new_orchestration("any", input=1)
    async with guards.lent("next") as address, client(address) as app:
        assert await app.schedule_new_orchestration("any", input=1) == first
    async with guards.lent("done") as address, client(address) as app:
        assert await app.schedule_new_orchestration("any", input=1) == started_late
    late.close()

    assert first != started_late


def kept_clients() -> set[str]:
    return {
        each.rpcBaseUrl for each in gc.get_objects() if type(each) is SyncDurableFunctionsClient
    }


async def test_nothing_is_kept_for_events_that_are_done_with(guards):
    before = kept_clients()  # of other tests in this process
    for number in range(10):
        async with guards.lent(f"event {number}") as address:
            start = sync_client(address).schedule_new_orchestration
            function = threading.Thread(target=start, args=("any",))
            function.start()
            await asyncio.to_thread(function.join)
            del start
    gc.collect()
    async with guards.lent("last") as last:
        pass

    assert kept_clients() - before == set()
    for used in (address, last):
        port = int(used.rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()


def request(instance_id: str, text: str = "1") -> pb.CreateInstanceRequest:
    made = pb.CreateInstanceRequest(instanceId=instance_id, name="flow")
    made.input.value = text
    return made


RANDOM = ["9f1c8d5e0b7a4c3d8e2f1a0b9c8d7e6f", "00000000000040008000000000000000"]


def prepared(event: str, *requests: pb.CreateInstanceRequest) -> list[str]:
    starts = EventStarts(event)
    for made in requests:
        starts.prepare(made)
    return [made.instanceId for made in requests]


def test_starts_may_come_in_another_order():
    first = prepared("e", request(RANDOM[0], "a"), request(RANDOM[0], "b"))
    second = prepared("e", request(RANDOM[1], "b"), request(RANDOM[1], "a"))

    assert first == second[::-1]
    assert len(set(first)) == 2


def test_equal_starts_of_one_event_are_told_apart():
    assert len(set(prepared("e", request(RANDOM[0]), request(RANDOM[1])))) == 2


def test_events_are_told_apart():
    assert prepared("e", request(RANDOM[0])) != prepared("f", request(RANDOM[0]))


@pytest.mark.parametrize("own", ["order-7", "0" * 32, RANDOM[0].upper(), RANDOM[0][:-1]])
def test_an_id_of_the_app_is_left_alone(own):
    assert prepared("e", request(own)) == [own]
