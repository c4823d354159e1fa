"""Sends the outcome of each work item to the scheduler, or gives the item back."""

import logging
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.proto_task_hub_sidecar_service_stub import ProtoTaskHubSidecarServiceStub

from local_runtime.functions_host.work import (
    activity_bridge,
    entity_bridge,
    orchestration_bridge,
)
from local_runtime.scheduler.client import SchedulerClient

_ATTEMPTS = 3
_PATIENCE = 10.0

logger = logging.getLogger("local_runtime.host")


class Answers:
    """The worker's answers: completions, and work items given back."""

    def __init__(self, scheduler: SchedulerClient) -> None:
        self._stub: ProtoTaskHubSidecarServiceStub = scheduler.stub
        self._metadata = scheduler.metadata

    async def send(self, item: pb.WorkItem, answer: object) -> None:
        """Deliver `answer`; what cannot be delivered is dropped, and the work will run again."""
        try:
            await self._deliver(item, answer)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                grpc.StatusCode.INVALID_ARGUMENT,
            ):
                logger.warning(
                    "%s: its result could not be delivered (%s); the work will run again",
                    describe(item),
                    error.code().name,
                )
                return
            # An answer that is refused for what it is would be refused again after another run:
            # of a model call, for example, that costs money each time.
            logger.error(
                "%s: the scheduler refused its result: %s", describe(item), error.details()
            )
            await self.send_failure(item, f"The scheduler refused the result: {error.details()}")

    async def send_failure(self, item: pb.WorkItem, message: str) -> None:
        """Answer that the work has failed for good."""
        try:
            await self._deliver(item, _failure(item, message))
        except grpc.aio.AioRpcError as error:
            logger.warning("%s: could not be answered (%s)", describe(item), error.code().name)

    async def abandon(self, item: pb.WorkItem) -> None:
        """Give the work back, so that the scheduler hands it out again."""
        token = item.completionToken
        try:
            match item.WhichOneof("request"):
                case "orchestratorRequest":
                    request = pb.AbandonOrchestrationTaskRequest(completionToken=token)
                    await self._call(self._stub.AbandonTaskOrchestratorWorkItem, request, 2.0)
                case "activityRequest":
                    activity = pb.AbandonActivityTaskRequest(completionToken=token)
                    await self._call(self._stub.AbandonTaskActivityWorkItem, activity, 2.0)
                case _:
                    entity = pb.AbandonEntityTaskRequest(completionToken=token)
                    await self._call(self._stub.AbandonTaskEntityWorkItem, entity, 2.0)
        except grpc.aio.AioRpcError as error:
            # Nothing is lost: the end of the stream gives the work back as well.
            logger.debug("%s: could not be given back (%s)", describe(item), error.code().name)

    async def _deliver(self, item: pb.WorkItem, answer: object) -> None:
        calls: dict[str | None, Callable[..., Any]] = {
            "orchestratorRequest": self._stub.CompleteOrchestratorTask,
            "activityRequest": self._stub.CompleteActivityTask,
            "entityRequest": self._stub.CompleteEntityTask,
            "entityRequestV2": self._stub.CompleteEntityTask,
        }
        call = calls[item.WhichOneof("request")]
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._call(call, answer, _PATIENCE)
            except grpc.aio.AioRpcError as error:
                # Sending twice is harmless, a completion token counts once.
                if error.code() != grpc.StatusCode.UNAVAILABLE or attempt == _ATTEMPTS:
                    raise
            else:
                return

    async def _call(self, call: Callable[..., Any], message: object, patience: float) -> None:
        await call(message, metadata=self._metadata, timeout=patience, wait_for_ready=True)


def describe(item: pb.WorkItem) -> str:
    """Name a work item for the log: its instance first."""
    match item.WhichOneof("request"):
        case "orchestratorRequest":
            return f"{item.orchestratorRequest.instanceId}: a turn of the orchestration"
        case "activityRequest":
            request = item.activityRequest
            instance = request.orchestrationInstance.instanceId
            return f"{instance}: activity {request.name} #{request.taskId}"
        case "entityRequestV2":
            return f"{item.entityRequestV2.instanceId}: a batch of operations"
        case _:
            return f"{item.entityRequest.instanceId}: a batch of operations"


def _failure(item: pb.WorkItem, message: str) -> object:
    token = item.completionToken
    details = pb.TaskFailureDetails(
        errorType="ResultRefused", errorMessage=message, isNonRetriable=True
    )
    match item.WhichOneof("request"):
        case "orchestratorRequest":
            return orchestration_bridge.failed(item.orchestratorRequest, token, details)
        case "activityRequest":
            return activity_bridge.refused(item.activityRequest, token, details)
        case "entityRequestV2":
            batch, infos = entity_bridge.to_batch(item.entityRequestV2)
            result = entity_bridge.refused(batch, token, details)
            result.operationInfos.extend(infos)
            return result
        case _:
            return entity_bridge.refused(item.entityRequest, token, details)
