"""One stream of work items from the scheduler, and when it counts as gone."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.proto_task_hub_sidecar_service_stub import ProtoTaskHubSidecarServiceStub

from local_runtime.scheduler.client import (
    MAX_BYTES_KEY,
    MAX_MESSAGE_BYTES,
    PING_SECONDS,
    SchedulerClient,
)

_SILENT_SECONDS = 3 * PING_SECONDS
# So long a process may stand still before what it holds may have been given to others: a scheduler
# gives up a connection on which a ping is not answered for about as long.
_STANDSTILL_SECONDS = 5.0
# What a worker takes in one message: a scheduler keeps larger work from those that take less.
_MAX_MESSAGE = (MAX_BYTES_KEY, str(MAX_MESSAGE_BYTES))


@dataclass(frozen=True)
class Limits:
    """How many work items of each kind the scheduler may hand to this host at once."""

    orchestrations: int
    activities: int
    entities: int


class StreamDoubtful(Exception):
    """A stream may be gone, though nobody has said so; the message says why."""


class WorkItemStream:
    """One GetWorkItems call.

    Attributes:
        gone: Set once it has ended: its work items are the scheduler's again, to be handed out.
    """

    def __init__(self, scheduler: SchedulerClient, limits: Limits) -> None:
        self.gone = asyncio.Event()
        self._silent_for = 0
        self._is_pinged = False
        self._watched_at = 0.0  # when the watch last looked, in the loop's time
        self._doubt = ""
        self._stub: ProtoTaskHubSidecarServiceStub = scheduler.stub
        self._metadata = (*scheduler.metadata, _MAX_MESSAGE)
        self._limits = limits

    async def items(self) -> AsyncGenerator[pb.WorkItem]:
        """Return the work items as they come, without the pings.

        Raises:
            AioRpcError: The stream broke.
            StreamDoubtful: Nothing comes on it any more, or this process stood still for a while.
        """
        request = pb.GetWorkItemsRequest(
            maxConcurrentOrchestrationWorkItems=self._limits.orchestrations,
            maxConcurrentActivityWorkItems=self._limits.activities,
            maxConcurrentEntityWorkItems=self._limits.entities,
        )
        call: grpc.aio.UnaryStreamCall[pb.GetWorkItemsRequest, pb.WorkItem]
        call = self._stub.GetWorkItems(request, metadata=self._metadata)
        watching = asyncio.create_task(self._watch(call))
        try:
            async for item in call:
                self._silent_for = 0
                if self._stood_still():
                    break
                if item.WhichOneof("request") in (None, "healthPing"):
                    self._is_pinged = True
                    continue
                yield item
        except asyncio.CancelledError:
            if not self._doubt:
                raise
        finally:
            self.gone.set()
            call.cancel()
            watching.cancel()
        if self._doubt:
            raise StreamDoubtful(self._doubt)

    async def _watch(self, call: grpc.aio.UnaryStreamCall[Any, Any]) -> None:
        """Break the stream off once it is silent for too long, or was not read for too long.

        Seconds of silence are counted, and not read from a clock: of a process that was stopped
        itself, what came meanwhile is still to be read.
        """
        self._watched_at = asyncio.get_running_loop().time()
        while self._silent_for < _SILENT_SECONDS:
            await asyncio.sleep(1)
            # A scheduler that sends no pings may be silent.
            self._silent_for += self._is_pinged
            if self._stood_still():
                break
            self._watched_at = asyncio.get_running_loop().time()
        else:
            self._doubt = f"nothing came for {_SILENT_SECONDS} s, not even a ping"
        call.cancel()

    def _stood_still(self) -> bool:
        """Whether this process did nothing for so long that others may have got its work since.

        What the scheduler sent before must not be begun then: it may be done already.
        """
        if self._watched_at:
            seconds = asyncio.get_running_loop().time() - self._watched_at
            if seconds > 1 + _STANDSTILL_SECONDS:
                self._doubt = f"this process stood still for {seconds:.0f} s"
        return bool(self._doubt)
