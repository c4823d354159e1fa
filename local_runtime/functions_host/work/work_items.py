"""Pulls work items from the scheduler, has each one run, and sends back what came of it."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from dataclasses import dataclass

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.proto_task_hub_sidecar_service_stub import ProtoTaskHubSidecarServiceStub
from google.protobuf.empty_pb2 import Empty

from local_runtime.errors import StartupError
from local_runtime.functions_host.app.watchdog import FunctionTimedOut
from local_runtime.functions_host.work.activity_bridge import ActivityBridge
from local_runtime.functions_host.work.entity_bridge import EntityBridge
from local_runtime.functions_host.work.orchestration_bridge import OrchestrationBridge
from local_runtime.functions_host.work.shared_runs import Answer, NoLongerWanted, Run, SharedRuns
from local_runtime.functions_host.work.work_item_answers import Answers, describe
from local_runtime.functions_host.work.work_item_stream import (
    Limits,
    StreamDoubtful,
    WorkItemStream,
)
from local_runtime.scheduler.client import SchedulerClient

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
_HELLO_PATIENCE = 2.0
_ABANDON_SECONDS = 2.0
_REFUSAL_PAUSE = 1.0

logger = logging.getLogger("local_runtime.host")


@dataclass(frozen=True)
class Bridges:
    """What runs each kind of work item."""

    orchestrations: OrchestrationBridge
    activities: ActivityBridge
    entities: EntityBridge


class WorkItems:
    """The worker's side of the scheduler's stream of work items."""

    def __init__(
        self, scheduler: SchedulerClient, address: str, bridges: Bridges, limits: Limits
    ) -> None:
        self.connected = asyncio.Event()
        self._scheduler = scheduler
        self._stub: ProtoTaskHubSidecarServiceStub = scheduler.stub
        self._address = address
        self._bridges = bridges
        self._limits = limits
        self._answers = Answers(scheduler)
        self._shared = SharedRuns()
        self._running: set[asyncio.Task[None]] = set()
        self._refused: set[str] = set()
        self._refusing: set[asyncio.Task[None]] = set()
        self._waiting = False
        self._begun = asyncio.Event()
        self._stopping = False
        self._stopped = False

    def begin(self) -> None:
        """Pull work from now on; before, `run` only reaches the scheduler."""
        self._begun.set()

    def take_no_more(self) -> None:
        """Leave new work to other workers, while what runs already goes on."""
        self._stopping = True

    async def run(self) -> None:
        """Pull and run work items until cancelled, connecting again whenever the stream breaks.

        Raises:
            StartupError: The scheduler refuses the task hub.
        """
        pause = _FIRST_PAUSE
        while not self._stopping:
            try:
                await self._connect()
                pause = _FIRST_PAUSE
                await self._begun.wait()
                await self._read_stream()
            except grpc.aio.AioRpcError as error:
                self._lost(error)
                pause = min(pause * 2, _LONGEST_PAUSE)
            except StreamDoubtful as doubt:
                self._say_lost(str(doubt))
            await asyncio.sleep(pause)

    async def stop(self, grace: float) -> None:
        """Take no more work, let what runs finish for `grace` seconds, and give back the rest.

        A second call does nothing more.

        The stream stays open meanwhile, until `run` is cancelled: to close it would take away the
        leases of what still runs, and it would run again after the restart.
        """
        self._stopping = True
        if self._stopped:
            return
        self._stopped = True
        if self._running:
            logger.info("waiting for %d running work item(s)", len(self._running))
            await asyncio.wait(self._running, timeout=grace)
        for task in (*self._running, *self._refusing):
            task.cancel()
        if self._running:
            # Not for ever: the app's code may refuse to be cancelled.
            await asyncio.wait(self._running, timeout=_ABANDON_SECONDS)

    async def _connect(self) -> None:
        await self._stub.Hello(Empty(), metadata=self._scheduler.metadata, timeout=_HELLO_PATIENCE)
        if self._waiting or not self.connected.is_set():
            logger.info(
                "connected %sto the scheduler at %s, task hub %r",
                "again " if self.connected.is_set() else "",
                self._address,
                self._scheduler.task_hub,
            )
        self._waiting = False
        self.connected.set()

    def _lost(self, error: grpc.aio.AioRpcError) -> None:
        if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
            raise StartupError(
                f"the scheduler at {self._address} refuses the task hub "
                f"{self._scheduler.task_hub!r}: {error.details()}"
            ) from error
        self._say_lost(f"{error.code().name}: {error.details()}")

    def _say_lost(self, reason: str) -> None:
        if not self._waiting:
            logger.warning(
                "the scheduler at %s is not reachable, waiting (%s)", self._address, reason
            )
        self._waiting = True

    async def _read_stream(self) -> None:
        stream = WorkItemStream(self._scheduler, self._limits)
        async with contextlib.aclosing(stream.items()) as items:
            async for item in items:
                if self._stopping:
                    refusing = asyncio.create_task(self._refuse(item))
                    self._refusing.add(refusing)
                    refusing.add_done_callback(self._refusing.discard)
                else:
                    self._start(item, stream.gone)

    async def _refuse(self, item: pb.WorkItem) -> None:
        """Give back work that came too late, for another worker to take."""
        name = describe(item)
        if name in self._refused:
            # Nobody else was there to take it. The end of the stream returns it, too.
            await asyncio.sleep(_REFUSAL_PAUSE)
        self._refused.add(name)
        await self._answers.abandon(item)

    def _start(self, item: pb.WorkItem, gone: asyncio.Event) -> None:
        task = asyncio.create_task(self._work(item, gone))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _work(self, item: pb.WorkItem, gone: asyncio.Event) -> None:
        try:
            await self._run(item, gone)
        except asyncio.CancelledError:
            await self._answers.abandon(item)
            raise
        except (FunctionTimedOut, NoLongerWanted):
            # Of one that took too long, not given back before this process has ended: until then
            # the function may still run.
            return
        except Exception:
            # Not the app's fault, so not a failure of its orchestration: the work is given back.
            logger.exception("a work item could not be run; it was given back to the scheduler")
            await self._answers.abandon(item)

    async def _run(self, item: pb.WorkItem, gone: asyncio.Event) -> None:
        token = item.completionToken
        match item.WhichOneof("request"):
            case "orchestratorRequest":
                # Two replays of one instance at once do no harm: they have no effects, and the
                # scheduler takes the answer of one.
                request = item.orchestratorRequest
                answer = await self._bridges.orchestrations.run(request, token)
                await self._answers.send(item, answer, gone)
            case "activityRequest":
                activity = item.activityRequest
                instance = activity.orchestrationInstance
                task = (instance.instanceId, instance.executionId.value, activity.taskId)

                def call() -> Awaitable[Answer]:
                    return self._bridges.activities.run(activity, token)

                async with self._shared.run(task, activity, call, what=describe(item)) as run:
                    # On and on, though the stream has gone: what it did may have cost money.
                    await self._deliver(item, run, gone, until=None)
            case kind:
                batch = item.entityRequestV2 if kind == "entityRequestV2" else item.entityRequest

                def apply() -> Awaitable[Answer]:
                    if isinstance(batch, pb.EntityRequest):
                        return self._bridges.entities.run(batch, token)
                    return self._bridges.entities.run_batch(batch, token)

                entity = (batch.instanceId,)
                async with self._shared.run(
                    entity, batch, apply, what=describe(item), turn_lost=gone
                ) as run:
                    await self._deliver(item, run, gone, until=gone)

    async def _deliver(
        self, item: pb.WorkItem, run: Run, gone: asyncio.Event, *, until: asyncio.Event | None
    ) -> None:
        answer = run.answer_for(item.completionToken)
        taken_at_once = await self._answers.send(item, answer, until)
        run.may_come_again |= gone.is_set() or not taken_at_once
