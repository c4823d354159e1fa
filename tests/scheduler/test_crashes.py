"""SIGKILL at every durable edge of the scheduler: one outcome, whatever was lost."""

import asyncio
import contextlib
import os
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.client import SchedulerClient

from .conftest import Actions, text

ROOT = Path(__file__).parents[2]
STEPS = 3
INSTANCES = [f"wf{number}" for number in range(4)]
POINTS = ["work_item.sent", "completion.received", "turn.half", "commit.before", "commit.after"]


class ChainWorker:
    """Runs chains of activities until told to stop, through every loss of the scheduler."""

    def __init__(self, client: SchedulerClient) -> None:
        self.client = client
        self.acknowledged: set[tuple[str, int]] = set()
        self.repeated: list[tuple[str, int]] = []

    async def run(self) -> None:
        while True:
            with contextlib.suppress(grpc.RpcError):
                stream = self.client.stub.GetWorkItems(
                    pb.GetWorkItemsRequest(), metadata=self.client.metadata, wait_for_ready=True
                )
                async for item in stream:
                    with contextlib.suppress(grpc.RpcError):
                        await self.answer(item)

    async def answer(self, item: pb.WorkItem) -> None:
        if item.HasField("orchestratorRequest"):
            await self.answer_turn(item)
        elif item.HasField("activityRequest"):
            await self.answer_activity(item)

    async def answer_turn(self, item: pb.WorkItem) -> None:
        request = item.orchestratorRequest
        results = [
            event.taskCompleted.result.value
            for event in [*request.pastEvents, *request.newEvents]
            if event.HasField("taskCompleted")
        ]
        done = len(results)
        action = (
            Actions.task(done + 1, given=str(done))
            if done < STEPS
            else Actions.complete(",".join(results))
        )
        response = pb.OrchestratorResponse(
            instanceId=request.instanceId, actions=[action], completionToken=item.completionToken
        )
        await self.client.stub.CompleteOrchestratorTask(response, metadata=self.client.metadata)

    async def answer_activity(self, item: pb.WorkItem) -> None:
        request = item.activityRequest
        step = (request.orchestrationInstance.instanceId, request.taskId)
        if step in self.acknowledged:
            self.repeated.append(step)
        response = pb.ActivityResponse(
            instanceId=step[0],
            taskId=step[1],
            result=text(f"r{step[1]}"),
            completionToken=item.completionToken,
        )
        await self.client.stub.CompleteActivityTask(response, metadata=self.client.metadata)
        self.acknowledged.add(step)


@contextlib.asynccontextmanager
async def process(data: Path, port: int, fault: str) -> AsyncIterator[asyncio.subprocess.Process]:
    found = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "local_runtime", "scheduler", "--no-dashboard"],
        *["--grpc-port", str(port), "--data", str(data)],
        env={**os.environ, "LOCAL_RUNTIME_FAULT": fault},
        cwd=ROOT,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield found
    finally:
        with contextlib.suppress(ProcessLookupError):
            found.kill()
        await found.wait()


async def start_all(client: SchedulerClient) -> None:
    """Start the instances, again where it is not known whether the scheduler took them."""
    for instance_id in INSTANCES:
        while True:
            request = pb.CreateInstanceRequest(instanceId=instance_id, name="chain")
            try:
                await client.stub.StartInstance(
                    request, metadata=client.metadata, wait_for_ready=True
                )
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                    continue
            break


async def finished(client: SchedulerClient, instance_id: str) -> pb.OrchestrationState:
    while True:
        with contextlib.suppress(grpc.RpcError):
            response = await client.stub.WaitForInstanceCompletion(
                pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True),
                metadata=client.metadata,
                wait_for_ready=True,
            )
            return response.orchestrationState


@pytest.mark.crash
@pytest.mark.parametrize("nth", [1, 4])
@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_scheduler_goes_on_where_it_was(
    tmp_path: Path, point: str, nth: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with SchedulerClient.open(f"localhost:{port}", "default") as client:
        worker = ChainWorker(client)
        working = asyncio.create_task(worker.run())
        async with process(tmp_path, port, f"{point}:{nth}") as dying:
            starting = asyncio.create_task(start_all(client))
            assert await asyncio.wait_for(dying.wait(), 30) == -9
        async with process(tmp_path, port, ""):
            await asyncio.wait_for(starting, 30)
            states = [
                await asyncio.wait_for(finished(client, instance_id), 30)
                for instance_id in INSTANCES
            ]
            histories = [await recorded(client, instance_id) for instance_id in INSTANCES]
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    assert {state.output.value for state in states} == {"r1,r2,r3"}
    assert all(history == {1: 1, 2: 1, 3: 1} for history in histories)
    assert worker.repeated == []


async def recorded(client: SchedulerClient, instance_id: str) -> Counter[int]:
    stream = client.stub.StreamInstanceHistory(
        pb.StreamInstanceHistoryRequest(instanceId=instance_id), metadata=client.metadata
    )
    return Counter(
        [
            event.taskCompleted.taskScheduledId
            async for chunk in stream
            for event in chunk.events
            if event.HasField("taskCompleted")
        ]
    )
