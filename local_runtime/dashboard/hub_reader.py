"""Reads instances and histories from the scheduler, one typed method per page of the dashboard."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.proto_task_hub_sidecar_service_stub import ProtoTaskHubSidecarServiceStub
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.scheduler.client import SchedulerClient

PAGE_SIZE = 50
_PATIENCE_SECONDS = 5.0


class SchedulerUnreachable(Exception):
    """The scheduler does not answer."""


class WrongRequest(Exception):
    """The scheduler refuses the request; the message is the scheduler's."""


@dataclass(frozen=True)
class Listing:
    """Which instances to list: one page of those that match."""

    hub: str
    status: pb.OrchestrationStatus | None
    id_prefix: str
    after: str
    """Where the page begins: the token that came with the page before, or nothing."""


class HubReader:
    """The task hubs of one scheduler, to be looked at."""

    def __init__(self, client: SchedulerClient, list_hubs: Callable[[], list[str]]) -> None:
        self._stub: ProtoTaskHubSidecarServiceStub = client.stub
        self._metadata = client.metadata
        self.hubs = list_hubs

    async def page(self, listing: Listing) -> tuple[list[pb.OrchestrationState], str]:
        """Return a page of instances, the newest first, and the token of the next page if any.

        Raises:
            SchedulerUnreachable: The scheduler does not answer.
            WrongRequest: The token is not one that it gave.
        """
        query = pb.InstanceQuery(
            runtimeStatus=[] if listing.status is None else [listing.status],
            maxInstanceCount=PAGE_SIZE,
            instanceIdPrefix=_optional(listing.id_prefix),
            continuationToken=_optional(listing.after),
        )
        try:
            response: pb.QueryInstancesResponse = await self._stub.QueryInstances(
                pb.QueryInstancesRequest(query=query),
                metadata=self._of(listing.hub),
                timeout=_PATIENCE_SECONDS,
            )
        except grpc.aio.AioRpcError as error:
            raise _sorted(error) from error
        return list(response.orchestrationState), response.continuationToken.value

    async def instance(self, hub: str, instance_id: str) -> pb.OrchestrationState | None:
        """Return an instance with its payloads, or None if there is none of this id.

        Raises:
            SchedulerUnreachable: The scheduler does not answer.
        """
        try:
            response: pb.GetInstanceResponse = await self._stub.GetInstance(
                pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True),
                metadata=self._of(hub),
                timeout=_PATIENCE_SECONDS,
            )
        except grpc.aio.AioRpcError as error:
            raise _sorted(error) from error
        return response.orchestrationState if response.exists else None

    async def history(self, hub: str, instance_id: str) -> list[pb.HistoryEvent]:
        """Return the history of an instance; nothing if it has been purged meanwhile.

        Of one that is damaged there is one event, which says so.

        Raises:
            SchedulerUnreachable: The scheduler does not answer.
        """
        chunks: AsyncIterator[pb.HistoryChunk] = self._stub.StreamInstanceHistory(
            pb.StreamInstanceHistoryRequest(instanceId=instance_id),
            metadata=self._of(hub),
            timeout=_PATIENCE_SECONDS,
        )
        try:
            return [event async for chunk in chunks for event in chunk.events]
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return []
            if error.code() is grpc.StatusCode.DATA_LOSS:
                told = _optional(f"DamagedData: {error.details()}")
                return [pb.HistoryEvent(eventId=-1, genericEvent=pb.GenericEvent(data=told))]
            raise _sorted(error) from error

    def _of(self, hub: str) -> tuple[tuple[str, str], ...]:
        return tuple((name, hub if name == "taskhub" else value) for name, value in self._metadata)


def _optional(text: str) -> StringValue | None:
    return StringValue(value=text) if text else None


def _sorted(error: grpc.aio.AioRpcError) -> Exception:
    details = error.details() or error.code().name
    if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
        return WrongRequest(details)
    return SchedulerUnreachable(details)
