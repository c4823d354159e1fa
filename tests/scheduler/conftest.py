"""A real scheduler on a free port, and a worker and client that speak raw protobuf to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc.aio
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.clock import Clock, VirtualClock
from local_runtime.scheduler.client import SchedulerClient
from local_runtime.scheduler.service.hubs import Hubs
from local_runtime.scheduler.service.server import serve_hubs

from .killing import Victim

START = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = 10.0  # seconds until a test that waits for the impossible gives up


def text(value: str | None) -> StringValue | None:
    return None if value is None else StringValue(value=value)


def stamp(moment: datetime) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(moment)
    return found


class Worker:
    """Takes work items off one stream and answers them as told."""

    def __init__(self, client: SchedulerClient) -> None:
        self.client = client
        self.request = pb.GetWorkItemsRequest()
        self._stream: grpc.aio.UnaryStreamCall | None = None
        self._items: asyncio.Queue[pb.WorkItem] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        stream = self.client.stub.GetWorkItems(self.request, metadata=self.client.metadata)
        ping = await asyncio.wait_for(stream.read(), PATIENCE)
        assert ping.HasField("healthPing")
        self._stream = stream
        self._reader = asyncio.create_task(self._read(stream))

    async def _read(self, stream: grpc.aio.UnaryStreamCall) -> None:
        with contextlib.suppress(grpc.RpcError, asyncio.CancelledError):
            while (item := await stream.read()) is not grpc.aio.EOF:
                if not item.HasField("healthPing"):
                    self._items.put_nowait(item)

    async def next(self, patience: float = PATIENCE) -> pb.WorkItem:
        async with asyncio.timeout(patience):
            return await self._items.get()

    async def nothing_comes(self) -> bool:
        """Whether no work item comes in the time a busy scheduler needs for many."""
        try:
            await self.next(patience=0.3)
        except TimeoutError:
            return True
        return False

    async def lose(self) -> None:
        assert self._stream is not None
        self._stream.cancel()

    async def answer_turn(
        self, item: pb.WorkItem, *actions: pb.OrchestratorAction, status: str | None = None
    ) -> None:
        response = pb.OrchestratorResponse(
            instanceId=item.orchestratorRequest.instanceId,
            actions=actions,
            customStatus=text(status),
            completionToken=item.completionToken,
        )
        await self.client.stub.CompleteOrchestratorTask(response, metadata=self.client.metadata)

    async def answer_activity(
        self,
        item: pb.WorkItem,
        result: str | None = None,
        failure: pb.TaskFailureDetails | None = None,
    ) -> None:
        response = pb.ActivityResponse(
            instanceId=item.activityRequest.orchestrationInstance.instanceId,
            taskId=item.activityRequest.taskId,
            result=text(result),
            failureDetails=failure,
            completionToken=item.completionToken,
        )
        await self.client.stub.CompleteActivityTask(response, metadata=self.client.metadata)

    async def answer_entity(
        self, item: pb.WorkItem, state: str | None, *outcomes: pb.OperationResult
    ) -> None:
        result = pb.EntityBatchResult(
            results=outcomes, entityState=text(state), completionToken=item.completionToken
        )
        await self.client.stub.CompleteEntityTask(result, metadata=self.client.metadata)


class Hub:
    """A client's view of one task hub, with the calls that tests make most."""

    def __init__(self, client: SchedulerClient, clock: VirtualClock) -> None:
        self.client = client
        self.clock = clock

    async def start(self, instance_id: str = "wf", name: str = "flow", **fields: object) -> str:
        request = pb.CreateInstanceRequest(instanceId=instance_id, name=name, **fields)
        stub = self.client.stub
        return (await stub.StartInstance(request, metadata=self.client.metadata)).instanceId

    async def get(self, instance_id: str = "wf") -> pb.GetInstanceResponse:
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        return await self.client.stub.GetInstance(request, metadata=self.client.metadata)

    async def status(self, instance_id: str = "wf") -> str:
        state = (await self.get(instance_id)).orchestrationState
        name = pb.OrchestrationStatus.Name(state.orchestrationStatus)
        return name.removeprefix("ORCHESTRATION_STATUS_")

    async def wait(self, instance_id: str = "wf") -> pb.OrchestrationState:
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        stub = self.client.stub
        response = await stub.WaitForInstanceCompletion(
            request, metadata=self.client.metadata, timeout=PATIENCE
        )
        return response.orchestrationState

    async def history(self, instance_id: str = "wf") -> list[pb.HistoryEvent]:
        request = pb.StreamInstanceHistoryRequest(instanceId=instance_id)
        stream = self.client.stub.StreamInstanceHistory(request, metadata=self.client.metadata)
        return [event async for chunk in stream for event in chunk.events]

    async def call(self, method: str, request: object) -> object:
        return await getattr(self.client.stub, method)(request, metadata=self.client.metadata)

    def worker(self) -> Worker:
        return Worker(self.client)


class Scheduler:
    """A scheduler that can be stopped and started again on the same folder."""

    def __init__(
        self, folder: Path, clock: VirtualClock, retention: timedelta | None = None
    ) -> None:
        self.folder = folder
        self.clock = clock
        self.retention = retention
        self.address = ""
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        self.address = await self._stack.enter_async_context(
            running(self.folder, self.clock, self.retention)
        )

    async def stop(self) -> None:
        await self._stack.aclose()

    async def hub(self, name: str = "default") -> Hub:
        client = await self._stack.enter_async_context(SchedulerClient.open(self.address, name))
        return Hub(client, self.clock)


@contextlib.asynccontextmanager
async def running(
    folder: Path, clock: Clock, retention: timedelta | None = None
) -> AsyncIterator[str]:
    """Serve a data folder in this process; gives the address."""
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    hubs = Hubs.open(folder, clock, "full", retention)
    serving = asyncio.create_task(
        serve_hubs(hubs, 0, ready=lambda facts: port.set_result(facts["grpc_port"]), stop=stop)
    )
    try:
        yield f"localhost:{await asyncio.wait_for(port, PATIENCE)}"
    finally:
        stop.set()
        await serving
        await hubs.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
async def scheduler(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Scheduler]:
    found = Scheduler(tmp_path / "data", clock)
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def hub(scheduler: Scheduler) -> Hub:
    return await scheduler.hub()


@pytest.fixture
async def worker(hub: Hub) -> Worker:
    found = hub.worker()
    await found.connect()
    return found


@pytest.fixture
async def victim(tmp_path: Path) -> AsyncIterator[Victim]:
    async with Victim.create(tmp_path / "data") as found:
        yield found


class Actions:
    """Actions of an orchestrator, as a worker would send them."""

    @staticmethod
    def task(number: int, name: str = "step", given: str | None = None) -> pb.OrchestratorAction:
        task = pb.ScheduleTaskAction(name=name, input=text(given))
        return pb.OrchestratorAction(id=number, scheduleTask=task)

    @staticmethod
    def timer(number: int, fire_at: datetime) -> pb.OrchestratorAction:
        timer = pb.CreateTimerAction(fireAt=stamp(fire_at))
        return pb.OrchestratorAction(id=number, createTimer=timer)

    @staticmethod
    def child(number: int, name: str = "child", child_id: str = "") -> pb.OrchestratorAction:
        child = pb.CreateSubOrchestrationAction(name=name, instanceId=child_id)
        return pb.OrchestratorAction(id=number, createSubOrchestration=child)

    @staticmethod
    def complete(result: str | None = '"done"', number: int = 99) -> pb.OrchestratorAction:
        end = pb.CompleteOrchestrationAction(
            orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED, result=text(result)
        )
        return pb.OrchestratorAction(id=number, completeOrchestration=end)

    @staticmethod
    def fail(failure: pb.TaskFailureDetails, number: int = 99) -> pb.OrchestratorAction:
        end = pb.CompleteOrchestrationAction(
            orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=failure
        )
        return pb.OrchestratorAction(id=number, completeOrchestration=end)

    @staticmethod
    def anew(given: str, *carried: pb.HistoryEvent, number: int = 99) -> pb.OrchestratorAction:
        end = pb.CompleteOrchestrationAction(
            orchestrationStatus=pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW,
            result=text(given),
            carryoverEvents=carried,
        )
        return pb.OrchestratorAction(id=number, completeOrchestration=end)

    @staticmethod
    def entity(number: int, **message: object) -> pb.OrchestratorAction:
        return pb.OrchestratorAction(
            id=number, sendEntityMessage=pb.SendEntityMessageAction(**message)
        )


@pytest.fixture
def act() -> type[Actions]:
    return Actions


def kinds(events: list[pb.HistoryEvent]) -> list[str | None]:
    """The kinds of events, in order."""
    return [event.WhichOneof("eventType") for event in events]


type Advance = Callable[[timedelta], object]
