"""The scheduler's instances as the webhook uses them: one typed method per call."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.functions_host.webhook.task_hub.calls import PATIENCE, HubCalls, optional
from local_runtime.scheduler.client import may_pass, pauses

_LONGEST_WAIT = 24 * 3600.0
# Longer than a scheduler takes to start again, and than most clients wait for an answer.
START_SECONDS = 20.0

TERMINAL = frozenset(
    {
        pb.ORCHESTRATION_STATUS_COMPLETED,
        pb.ORCHESTRATION_STATUS_FAILED,
        pb.ORCHESTRATION_STATUS_TERMINATED,
        pb.ORCHESTRATION_STATUS_CANCELED,
    }
)


class StartIsOpen(Exception):
    """It is open whether an instance has started: the scheduler did not say."""

    def __init__(self, instance_id: str, error: grpc.aio.AioRpcError) -> None:
        super().__init__(instance_id)
        self.instance_id = instance_id
        self.error = error


class Instances(HubCalls):
    """The orchestration instances of one task hub."""

    async def start(self, request: pb.CreateInstanceRequest) -> str:
        """Start an instance and return its id.

        The start is repeated as long as it is open whether it has happened: it carries its
        execution id, by which the scheduler knows that it is the same one.

        Raises:
            StartIsOpen: It still was when the time was up.
            AioRpcError: It was refused.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + START_SECONDS
        waits = pauses()
        while True:
            patience = min(end - clock(), PATIENCE)
            try:
                response: pb.CreateInstanceResponse = await self._call(
                    self._stub.StartInstance, request, patience=patience
                )
            except grpc.aio.AioRpcError as error:
                if not may_pass(error):
                    raise
                pause = next(waits)
                if clock() + pause >= end:
                    raise StartIsOpen(request.instanceId, error) from error
                await asyncio.sleep(pause)
            else:
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

        A scheduler that goes away meanwhile is asked again when it is back.

        Raises:
            AioRpcError: Its state is too large for a message, or the scheduler cannot wait for it.
        """
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        clock = asyncio.get_running_loop().time
        end = clock() + min(seconds, _LONGEST_WAIT)
        for pause in pauses():
            try:
                call, left = self._waits.WaitForInstanceCompletion, max(end - clock(), 0)
                return _state(await self._call(call, request, patience=left))
            except grpc.aio.AioRpcError as error:
                if not may_pass(error):
                    raise
            if clock() + pause >= end:
                break
            await asyncio.sleep(pause)
        return None

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
