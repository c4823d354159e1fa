"""A scheduler of which a test says what it hands out, what it takes and what it refuses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as rpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

PING = pb.WorkItem(healthPing=pb.HealthPing())
PING_SECONDS = 1.0
PATIENCE = 40.0

type Refusal = tuple[grpc.StatusCode, str]


class ScriptedScheduler(rpc.TaskHubSidecarServiceServicer):
    """Answers a host on a real connection."""

    def __init__(self) -> None:
        self.address = ""
        self.refusals: list[Refusal] = []
        """What the next answers to work items, and the next starts, are refused with."""
        self.refuses_all: Refusal | None = None
        self.tries = 0
        self.silent = False
        self.metadata: list[dict[str, str]] = []
        self.starts: list[pb.CreateInstanceRequest] = []
        self._streams: asyncio.Queue[asyncio.Queue[pb.WorkItem | None]] = asyncio.Queue()
        self._completed: asyncio.Queue[Message] = asyncio.Queue()
        self._abandoned: asyncio.Queue[str] = asyncio.Queue()
        self._tried = asyncio.Condition()

    async def stream(self) -> asyncio.Queue[pb.WorkItem | None]:
        """Wait for the next stream; what is put into it is handed out, and None ends it."""
        async with asyncio.timeout(PATIENCE):
            return await self._streams.get()

    async def completed(self) -> Message:
        async with asyncio.timeout(PATIENCE):
            return await self._completed.get()

    async def abandoned(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return await self._abandoned.get()

    async def tried(self, times: int) -> None:
        """Wait until answers have come so often, whether they were taken or not."""
        async with asyncio.timeout(PATIENCE), self._tried:
            await self._tried.wait_for(lambda: self.tries >= times)

    async def Hello(self, request, context) -> Empty:
        return Empty()

    async def GetWorkItems(self, request, context) -> AsyncIterator[pb.WorkItem]:
        items: asyncio.Queue[pb.WorkItem | None] = asyncio.Queue()
        self.metadata.append(dict(context.invocation_metadata()))
        yield PING
        self._streams.put_nowait(items)
        while True:
            try:
                item = await asyncio.wait_for(items.get(), PING_SECONDS)
            except TimeoutError:
                item = PING
            if item is None:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
            if not self.silent:
                yield item

    async def _take(self, message, context) -> pb.CompleteTaskResponse:
        async with self._tried:
            self.tries += 1
            self._tried.notify_all()
        refusal = self.refuses_all or (self.refusals.pop(0) if self.refusals else None)
        if refusal is not None:
            await context.abort(*refusal)
        self._completed.put_nowait(message)
        return pb.CompleteTaskResponse()

    CompleteOrchestratorTask = CompleteActivityTask = CompleteEntityTask = _take

    async def StartInstance(self, request, context) -> pb.CreateInstanceResponse:
        self.starts.append(request)
        if self.refusals:
            await context.abort(*self.refusals.pop(0))
        return pb.CreateInstanceResponse(instanceId=request.instanceId)

    async def AbandonTaskActivityWorkItem(self, request, context):
        self._abandoned.put_nowait(request.completionToken)
        return pb.AbandonActivityTaskResponse()

    async def AbandonTaskOrchestratorWorkItem(self, request, context):
        self._abandoned.put_nowait(request.completionToken)
        return pb.AbandonOrchestrationTaskResponse()

    async def AbandonTaskEntityWorkItem(self, request, context):
        self._abandoned.put_nowait(request.completionToken)
        return pb.AbandonEntityTaskResponse()


@contextlib.asynccontextmanager
async def scripted_scheduler() -> AsyncIterator[ScriptedScheduler]:
    scheduler = ScriptedScheduler()
    server = grpc.aio.server()
    rpc.add_TaskHubSidecarServiceServicer_to_server(scheduler, server)
    scheduler.address = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield scheduler
    finally:
        await server.stop(0)
