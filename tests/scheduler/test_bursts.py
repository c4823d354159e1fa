"""Thousands of calls at once: none is refused at random."""

import asyncio
from collections import Counter
from pathlib import Path

import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.clock import SystemClock
from local_runtime.scheduler.client import SchedulerClient

from .conftest import Actions, Hub, Worker, running

COUNT = 4000


async def outcomes(calls: list[grpc.aio.Call]) -> Counter[str]:
    """How many calls ended in which way."""
    return Counter([(await call.code()).name for call in calls])


async def test_4000_starts_at_once_are_all_taken(tmp_path: Path) -> None:
    async with (
        running(tmp_path / "data", SystemClock()) as address,
        SchedulerClient.open(address, "default") as client,
    ):
        starts = [
            client.stub.StartInstance(
                pb.CreateInstanceRequest(instanceId=f"wf{number}", name="flow"),
                metadata=client.metadata,
            )
            for number in range(COUNT)
        ]
        assert await outcomes(starts) == {"OK": COUNT}


async def test_completions_get_through_while_4000_clients_wait(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    request = pb.GetInstanceRequest(instanceId="wf")
    waits = [
        hub.client.stub.WaitForInstanceCompletion(request, metadata=hub.client.metadata)
        for _ in range(COUNT)
    ]
    await worker.answer_turn(await worker.next(), act.task(1))
    await worker.answer_activity(await worker.next(), "1")
    await worker.answer_turn(await worker.next(), act.complete())
    async with asyncio.timeout(60):
        assert await outcomes(waits) == {"OK": COUNT}
