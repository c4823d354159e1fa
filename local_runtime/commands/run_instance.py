"""The one orchestration instance of `run`: started, and looked at over the scheduler's protocol."""

from collections.abc import AsyncIterator

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.proto_task_hub_sidecar_service_stub import ProtoTaskHubSidecarServiceStub
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.scheduler.client import SchedulerClient

# The hub is this run's own, so any id will do; a fixed one makes the start safe to repeat.
_INSTANCE_ID = "run"
# What a call ends with when the scheduler dies under it, and is restarted by the supervisor.
_BROKEN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class RunInstance:
    """Talks to the scheduler about the instance."""

    def __init__(self, client: SchedulerClient) -> None:
        self._stub: ProtoTaskHubSidecarServiceStub = client.stub
        self._metadata = client.metadata

    async def start(self, orchestrator: str, input_json: str | None) -> None:
        """Start the instance; a start that was cut off is repeated."""
        request = pb.CreateInstanceRequest(
            instanceId=_INSTANCE_ID,
            name=orchestrator,
            input=None if input_json is None else StringValue(value=input_json),
        )
        while True:
            try:
                await self._stub.StartInstance(
                    request, metadata=self._metadata, wait_for_ready=True
                )
                return
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.ALREADY_EXISTS:
                    return  # stored before the connection broke
                if error.code() not in _BROKEN:
                    raise

    async def look(self) -> tuple[pb.OrchestrationState, list[pb.HistoryEvent]] | None:
        """Return the state and the history; None when the scheduler died at that moment."""
        get = pb.GetInstanceRequest(instanceId=_INSTANCE_ID, getInputsAndOutputs=True)
        stream = pb.StreamInstanceHistoryRequest(instanceId=_INSTANCE_ID)
        try:
            found: pb.GetInstanceResponse = await self._stub.GetInstance(
                get, metadata=self._metadata, wait_for_ready=True
            )
            chunks: AsyncIterator[pb.HistoryChunk] = self._stub.StreamInstanceHistory(
                stream, metadata=self._metadata, wait_for_ready=True
            )
            history = [event async for chunk in chunks for event in chunk.events]
        except grpc.aio.AioRpcError as error:
            if error.code() in _BROKEN:
                return None
            raise
        return found.orchestrationState, history
