"""The scheduler's instances as the webhook uses them: one typed method per call."""

from collections.abc import AsyncIterator

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.functions_host.webhook.task_hub.calls import PATIENCE, HubCalls, optional

_LONGEST_WAIT = 24 * 3600.0

TERMINAL = frozenset(
    {
        pb.ORCHESTRATION_STATUS_COMPLETED,
        pb.ORCHESTRATION_STATUS_FAILED,
        pb.ORCHESTRATION_STATUS_TERMINATED,
        pb.ORCHESTRATION_STATUS_CANCELED,
    }
)


class Instances(HubCalls):
    """The orchestration instances of one task hub."""

    async def start(self, request: pb.CreateInstanceRequest) -> str:
        """Start an instance and return its id."""
        response: pb.CreateInstanceResponse = await self._call(self._stub.StartInstance, request)
        return response.instanceId

    async def get(self, instance_id: str) -> pb.OrchestrationState | None:
        """Return the state of an instance, or None if there is none of this id."""
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        return _state(await self._call(self._stub.GetInstance, request))

    async def status(self, instance_id: str) -> "pb.OrchestrationStatus | None":
        """Return only the status of an instance, however large its input and output are."""
        state = _state(
            await self._call(self._stub.GetInstance, pb.GetInstanceRequest(instanceId=instance_id))
        )
        return None if state is None else state.orchestrationStatus

    async def wait(self, instance_id: str, seconds: float) -> pb.OrchestrationState | None:
        """Return the final state of an instance, or None if it does not end within `seconds`.

        None as well if the scheduler goes away meanwhile: the instance goes on when it is back.
        """
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        try:
            return _state(
                await self._call(
                    self._stub.WaitForInstanceCompletion,
                    request,
                    patience=min(seconds, _LONGEST_WAIT),
                )
            )
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
                return None
            raise

    async def query(self, query: pb.InstanceQuery) -> pb.QueryInstancesResponse:
        """Return one page of the instances that match."""
        return await self._call(self._stub.QueryInstances, pb.QueryInstancesRequest(query=query))

    async def history(self, instance_id: str) -> list[pb.HistoryEvent]:
        """Return the whole history of an instance."""
        chunks: AsyncIterator[pb.HistoryChunk] = self._stub.StreamInstanceHistory(
            pb.StreamInstanceHistoryRequest(instanceId=instance_id),
            metadata=self._metadata,
            timeout=PATIENCE,
        )
        return [event async for chunk in chunks for event in chunk.events]

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """Send an external event."""
        request = pb.RaiseEventRequest(instanceId=instance_id, name=name, input=optional(data))
        await self._call(self._stub.RaiseEvent, request)

    async def terminate(self, instance_id: str, output: str | None) -> None:
        """End an instance at once, with a JSON text for its output; its children go on."""
        request = pb.TerminateRequest(instanceId=instance_id, output=optional(output))
        await self._call(self._stub.TerminateInstance, request)

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """Pause an instance."""
        request = pb.SuspendRequest(instanceId=instance_id, reason=optional(reason))
        await self._call(self._stub.SuspendInstance, request)

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """Let a suspended instance go on."""
        request = pb.ResumeRequest(instanceId=instance_id, reason=optional(reason))
        await self._call(self._stub.ResumeInstance, request)

    async def restart(self, instance_id: str, *, with_new_id: bool) -> str:
        """Start a finished instance again; return the id it runs under."""
        request = pb.RestartInstanceRequest(
            instanceId=instance_id, restartWithNewInstanceId=with_new_id
        )
        response: pb.RestartInstanceResponse = await self._call(self._stub.RestartInstance, request)
        return response.instanceId

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """Let a failed instance go on from before its failure."""
        request = pb.RewindInstanceRequest(instanceId=instance_id, reason=optional(reason))
        await self._call(self._stub.RewindInstance, request)

    async def purge(self, request: pb.PurgeInstancesRequest) -> pb.PurgeInstancesResponse:
        """Delete finished instances."""
        return await self._call(self._stub.PurgeInstances, request)


def _state(response: pb.GetInstanceResponse) -> pb.OrchestrationState | None:
    return response.orchestrationState if response.exists else None
