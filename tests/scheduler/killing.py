"""A scheduler in a process of its own that a test lets die, and a worker that outlives it."""

import asyncio
import contextlib
import itertools
import json
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.scheduler.client import SchedulerClient
from local_runtime.scheduler.storage import history, messages
from tests.ports import free_port

from .audit import faults

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
_runs = itertools.count(1)
_LOST = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED)

type Flow = Callable[[str, list[pb.HistoryEvent]], list[pb.OrchestratorAction]]
"""From an instance id and its events to all actions up to now: those recorded are left out."""


def edges(*points: str) -> list[str]:
    """Each point, and the first commit after it: what is decided there is lost, or kept."""
    return [fault for point in points for fault in (point, f"{point},commit.after")]


class Victim:
    """A data folder, its scheduler's process, and a client that finds it again each time."""

    def __init__(self, data: Path, port: int, client: SchedulerClient) -> None:
        self.data = data
        self.file = data / "default.taskhub.db"
        self.client = client
        self.address = f"localhost:{port}"
        self.options: list[str] = []
        self._log = data.with_suffix(".log")
        self._port = port

    @classmethod
    @contextlib.asynccontextmanager
    async def create(cls, data: Path) -> AsyncIterator["Victim"]:
        port = free_port()
        async with SchedulerClient.open(f"localhost:{port}", "default") as client:
            yield cls(data, port, client)

    @contextlib.asynccontextmanager
    async def running(self, fault: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
        """Run a scheduler on the folder; at the end it is killed, and the file looked through."""
        with self._log.open("ab") as log:
            found = await asyncio.create_subprocess_exec(
                *[sys.executable, "-m", "local_runtime", "scheduler", "--no-dashboard"],
                *["--grpc-port", str(self._port), "--data", str(self.data), *self.options],
                env={**os.environ, "LOCAL_RUNTIME_FAULT": fault},
                cwd=ROOT,
                stderr=log,
            )
        try:
            yield found
        finally:
            with contextlib.suppress(ProcessLookupError):
                found.kill()
            await found.wait()
        found = faults(self.file) if self.file.exists() else []
        assert not found, found

    @contextlib.asynccontextmanager
    async def killed_at(
        self, fault: str, *calls: Coroutine[Any, Any, Any]
    ) -> AsyncIterator[list[Any]]:
        """Make calls of a scheduler that dies at a point; go on with one that is started anew.

        A scheduler that does not die of it fails the test. The results of the calls are given,
        and what they raised when the scheduler was gone.
        """
        async with self.running(fault) as dying:
            asked = [asyncio.create_task(call) for call in calls]
            await self._dies(dying, fault)
        async with self.running():
            async with asyncio.timeout(PATIENCE):
                results = await asyncio.gather(*asked, return_exceptions=True)
                yield results

    async def dies_of(self, fault: str, method: str, request: object) -> None:
        """Make a call of a scheduler that dies of it, and do not ask again."""
        async with self.running(fault) as dying:
            asked = asyncio.create_task(self.insist(method, request))
            await self._dies(dying, fault)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    def has_done(self, fault: str) -> bool:
        """Whether what was under way at a point is done, though nobody asks for it again."""
        return "commit.after" in fault

    def has_recorded(self, instance_id: str, task_id: int) -> bool:
        """Whether the result of an activity is on disk."""
        with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as file:
            turns = history.read_turns(file, instance_id)
            found = [event for turn in turns for event in turn]
            found += [queued.event for queued in messages.queued_events(file, instance_id)]
        return any(
            event.HasField("taskCompleted") and event.taskCompleted.taskScheduledId == task_id
            for event in found
        )

    async def _dies(self, dying: asyncio.subprocess.Process, fault: str) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(dying.wait(), PATIENCE)
        ended = dying.returncode
        assert ended == -9, f"{fault} is not reached, exit code {ended}: {self._log.read_text()}"

    async def once(self, method: str, request: object) -> Any:
        call = getattr(self.client.stub, method)
        return await call(request, metadata=self.client.metadata, wait_for_ready=True)

    async def insist(self, method: str, request: object) -> Any:
        """Make a call again for as long as the scheduler dies of it."""
        while True:
            try:
                return await self.once(method, request)
            except grpc.aio.AioRpcError as error:
                if error.code() not in _LOST:
                    raise

    async def start(self, instance_id: str, name: str, **fields: object) -> None:
        """Start an instance, again where it is not known whether the scheduler took it."""
        request = pb.CreateInstanceRequest(instanceId=instance_id, name=name, **fields)
        try:
            await self.insist("StartInstance", request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise

    async def finished(self, instance_id: str) -> pb.OrchestrationState:
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        async with asyncio.timeout(PATIENCE):
            found = await self.insist("WaitForInstanceCompletion", request)
        return found.orchestrationState

    async def status(self, instance_id: str) -> str:
        found = await self.insist("GetInstance", pb.GetInstanceRequest(instanceId=instance_id))
        if not found.exists:
            return "GONE"
        name = pb.OrchestrationStatus.Name(found.orchestrationState.orchestrationStatus)
        return name.removeprefix("ORCHESTRATION_STATUS_")

    async def signal(self, entity_id: str, operation: str, **fields: object) -> None:
        request = pb.SignalEntityRequest(instanceId=entity_id, name=operation, **fields)
        await self.once("SignalEntity", request)

    async def applied(self, entity_id: str, until: Callable[[list[str]], bool]) -> list[str]:
        """Return the operations in an entity's state once they are as wanted."""
        request = pb.GetEntityRequest(instanceId=entity_id, includeState=True)
        async with asyncio.timeout(PATIENCE):
            while True:
                found = (await self.insist("GetEntity", request)).entity
                done = json.loads(found.serializedState.value or "[]")
                if until(done):
                    return done

    async def state(self, entity_id: str) -> str:
        """The state of an entity, as it is stored."""
        request = pb.GetEntityRequest(instanceId=entity_id, includeState=True)
        return (await self.insist("GetEntity", request)).entity.serializedState.value

    async def history(self, instance_id: str) -> list[pb.HistoryEvent]:
        request = pb.StreamInstanceHistoryRequest(instanceId=instance_id)
        stream = self.client.stub.StreamInstanceHistory(request, metadata=self.client.metadata)
        return [event async for chunk in stream for event in chunk.events]


class Worker:
    """Runs flows, activities and entities until told to stop, through every loss.

    An activity's result is `r` and its number. An entity's state is the list of its operations, a
    call answers with its request's id, and `@relay@...` signals each operation on to `@log@k`.
    """

    def __init__(
        self,
        client: SchedulerClient,
        flows: dict[str, Flow],
        has_recorded: Callable[[str, int], bool] | None = None,
    ) -> None:
        self.client = client
        self.flows = flows
        self.has_recorded = has_recorded or (lambda instance_id, task_id: False)
        self.failing: set[str] = set()  # instances whose activities fail
        self.ran: Counter[str] = Counter()  # activities whose result was acknowledged
        self.repeated: list[str] = []  # activities that came again after that, or when recorded

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator["Worker"]:
        running = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(grpc.RpcError):
                stream = self.client.stub.GetWorkItems(
                    pb.GetWorkItemsRequest(), metadata=self.client.metadata, wait_for_ready=True
                )
                async for item in stream:
                    with contextlib.suppress(grpc.RpcError):
                        await self._answer(item)

    async def _answer(self, item: pb.WorkItem) -> None:
        if item.HasField("orchestratorRequest"):
            await self._answer_turn(item.orchestratorRequest, item.completionToken)
        elif item.HasField("activityRequest"):
            await self._answer_activity(item.activityRequest, item.completionToken)
        elif item.HasField("entityRequestV2"):
            await self._answer_batch(item.entityRequestV2, item.completionToken)

    async def _answer_turn(self, request: pb.OrchestratorRequest, token: str) -> None:
        events = [*request.pastEvents, *request.newEvents]
        if any(event.HasField("executionRewound") for event in request.newEvents):
            actions = [rewound(events)]
        else:
            (started,) = [e.executionStarted for e in events if e.HasField("executionStarted")]
            made = {event.eventId for event in events}
            wanted = self.flows[started.name](request.instanceId, events)
            actions = [action for action in wanted if action.id not in made]
        response = pb.OrchestratorResponse(
            instanceId=request.instanceId, actions=actions, completionToken=token
        )
        await self.client.stub.CompleteOrchestratorTask(response, metadata=self.client.metadata)

    async def _answer_activity(self, request: pb.ActivityRequest, token: str) -> None:
        instance_id = request.orchestrationInstance.instanceId
        step = f"{instance_id}/{request.taskId}"
        if step in self.ran or self.has_recorded(instance_id, request.taskId):
            self.repeated.append(step)
        response = pb.ActivityResponse(
            instanceId=instance_id, taskId=request.taskId, completionToken=token
        )
        if instance_id in self.failing:
            response.failureDetails.errorType = "E"
        else:
            response.result.value = f"r{request.taskId}"
        await self.client.stub.CompleteActivityTask(response, metadata=self.client.metadata)
        self.ran[step] += 1

    async def _answer_batch(self, request: pb.EntityRequest, token: str) -> None:
        names = [
            event.entityOperationCalled.requestId or event.entityOperationSignaled.operation
            for event in request.operationRequests
        ]
        done = json.loads(request.entityState.value or "[]")
        result = pb.EntityBatchResult(
            results=[
                pb.OperationResult(
                    success=pb.OperationResultSuccess(result=StringValue(value=name))
                )
                for name in names
            ],
            entityState=StringValue(value=json.dumps(done + names)),
            completionToken=token,
        )
        if request.instanceId.startswith("@relay@"):
            for name in names:
                result.actions.add().sendSignal.CopyFrom(
                    pb.SendSignalAction(instanceId="@log@k", name=name)
                )
        await self.client.stub.CompleteEntityTask(result, metadata=self.client.metadata)


def rewound(events: list[pb.HistoryEvent]) -> pb.OrchestratorAction:
    """Clean a failed history of what failed, as the protocol wants it of a worker."""
    asked = events[-1].executionRewound
    failed = {event.taskFailed.taskScheduledId for event in events if event.HasField("taskFailed")}
    gone = ("taskFailed", "subOrchestrationInstanceFailed", "executionCompleted")
    kept: list[pb.HistoryEvent] = []
    for event in events:
        if event.WhichOneof("eventType") in gone or event.eventId in failed:
            continue
        kept.append(pb.HistoryEvent())
        kept[-1].CopyFrom(event)
        if event.HasField("executionStarted"):
            started = kept[-1].executionStarted
            started.orchestrationInstance.executionId.value = f"rewound-{next(_runs)}"
            if asked.HasField("parentExecutionId"):
                parent = started.parentInstance.orchestrationInstance
                parent.executionId.CopyFrom(asked.parentExecutionId)
    return pb.OrchestratorAction(
        id=98, rewindOrchestration=pb.RewindOrchestrationAction(newHistory=kept)
    )


def answers(events: list[pb.HistoryEvent], kind: str) -> list[Any]:
    """The events of one kind, in order, as what they hold."""
    return [getattr(event, kind) for event in events if event.HasField(kind)]
