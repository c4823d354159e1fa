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
# What a worker takes in one message: a scheduler keeps larger work from those that take less.
_MAX_MESSAGE = (MAX_BYTES_KEY, str(MAX_MESSAGE_BYTES))


@dataclass(frozen=True)
class Limits:
    """How many work items of each kind the scheduler may hand to this host at once."""

    orchestrations: int
    activities: int
    entities: int


class SchedulerSilent(Exception):
    """Nothing has come on a stream, not even a ping, for three times as long as pings are apart."""


class WorkItemStream:
    """One GetWorkItems call.

    Attributes:
        gone: Set once it has ended: its work items are the scheduler's again, to be handed out.
    """

    def __init__(self, scheduler: SchedulerClient, limits: Limits) -> None:
        self.gone = asyncio.Event()
        self._silent_for = 0
        self._stub: ProtoTaskHubSidecarServiceStub = scheduler.stub
        self._metadata = (*scheduler.metadata, _MAX_MESSAGE)
        self._limits = limits

    async def items(self) -> AsyncGenerator[pb.WorkItem]:
        """Return the work items as they come, without the pings.

        Raises:
            AioRpcError: The stream broke.
            SchedulerSilent: Nothing comes on it any more.
        """
        watching: asyncio.Task[None] | None = None
        request = pb.GetWorkItemsRequest(
            maxConcurrentOrchestrationWorkItems=self._limits.orchestrations,
            maxConcurrentActivityWorkItems=self._limits.activities,
            maxConcurrentEntityWorkItems=self._limits.entities,
        )
        call: grpc.aio.UnaryStreamCall[pb.GetWorkItemsRequest, pb.WorkItem]
        call = self._stub.GetWorkItems(request, metadata=self._metadata)
        try:
            async for item in call:
                self._silent_for = 0
                if item.WhichOneof("request") in (None, "healthPing"):
                    # From now on: a scheduler that sends no pings may be silent.
                    watching = watching or asyncio.create_task(self._watch(call))
                    continue
                yield item
        except asyncio.CancelledError:
            if self._silent_for < _SILENT_SECONDS:
                raise
            raise SchedulerSilent(
                f"nothing came for {_SILENT_SECONDS} s, not even a ping"
            ) from None
        finally:
            self.gone.set()
            call.cancel()
            if watching is not None:
                watching.cancel()

    async def _watch(self, call: grpc.aio.UnaryStreamCall[Any, Any]) -> None:
        """Break the stream off once it is silent for too long.

        Seconds are counted, and not read from a clock: of a process that was stopped itself, what
        came meanwhile is still to be read.
        """
        while self._silent_for < _SILENT_SECONDS:
            await asyncio.sleep(1)
            self._silent_for += 1
        call.cancel()
