"""Sends the outcome of each work item to the scheduler, or gives the item back."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.proto_task_hub_sidecar_service_stub import ProtoTaskHubSidecarServiceStub
from google.protobuf.message import Message

from local_runtime.functions_host.work import (
    activity_bridge,
    entity_bridge,
    orchestration_bridge,
)
from local_runtime.scheduler.client import (
    MAX_MESSAGE_BYTES,
    SchedulerClient,
    is_too_large,
    may_pass,
    pauses,
)

_PATIENCE = 10.0

logger = logging.getLogger("local_runtime.host")


class Answers:
    """The worker's answers: completions, and work items given back."""

    def __init__(self, scheduler: SchedulerClient) -> None:
        self._stub: ProtoTaskHubSidecarServiceStub = scheduler.stub
        self._metadata = scheduler.metadata

    async def send(
        self, item: pb.WorkItem, answer: Message, until: asyncio.Event | None = None
    ) -> bool:
        """Deliver `answer`, again and again until it is taken.

        What is refused for what it is, is answered with a failure instead. What cannot be
        answered at all is given back, so that the work runs again.

        Args:
            item: What is answered.
            answer: The answer.
            until: When set, the work is the scheduler's again, and no answer is needed any more.
                Without it, only the end of the process ends the repeating.

        Returns:
            Whether the scheduler took it the first time.
        """
        sending = _Sending(item, until)
        refused = await self._deliver(sending, answer)
        if refused is not None and _is_for_what_it_is(refused, answer):
            # It would be refused again after another run: of a model call that costs money each
            # time, for example.
            logger.error(
                "%s: the scheduler refused its result: %s", describe(item), refused.details()
            )
            reason = f"The scheduler refused the result: {refused.details()}"
            refused = await self._deliver(sending, _failure(item, reason))
        if refused is not None:
            logger.warning(
                "%s: its result could not be delivered (%s: %s); the work is given back",
                describe(item),
                refused.code().name,
                refused.details(),
            )
            await self.abandon(item)
        return not sending.repeats

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

    async def _deliver(self, sending: "_Sending", answer: Message) -> grpc.aio.AioRpcError | None:
        """Send one answer until it is taken or not needed; return the error if it is refused."""
        calls: dict[str | None, Callable[..., Any]] = {
            "orchestratorRequest": self._stub.CompleteOrchestratorTask,
            "activityRequest": self._stub.CompleteActivityTask,
            "entityRequest": self._stub.CompleteEntityTask,
            "entityRequestV2": self._stub.CompleteEntityTask,
        }
        call = calls[sending.item.WhichOneof("request")]
        waits = pauses()
        while True:
            try:
                # Sending twice is harmless, a completion token counts once.
                await self._call(call, answer, _PATIENCE)
            except grpc.aio.AioRpcError as error:
                if not may_pass(error) or _is_for_what_it_is(error, answer):
                    return error
                if await sending.is_over_within(next(waits), error):
                    return None
            else:
                sending.has_succeeded()
                return None

    async def _call(self, call: Callable[..., Any], message: Message, patience: float) -> None:
        await call(message, metadata=self._metadata, timeout=patience, wait_for_ready=True)


class _Sending:
    """How often one item's answer has been sent, told once when it is sent again."""

    def __init__(self, item: pb.WorkItem, until: asyncio.Event | None) -> None:
        self.item = item
        self.repeats = 0
        self._until = until

    async def is_over_within(self, seconds: float, error: grpc.aio.AioRpcError) -> bool:
        """Wait before the next try; whether none is needed any more."""
        if not self.repeats:
            logger.warning(
                "%s: its result was not taken (%s: %s); it is sent again until it is",
                describe(self.item),
                error.code().name,
                error.details(),
            )
        self.repeats += 1
        if self._until is None:
            await asyncio.sleep(seconds)
            return False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._until.wait(), seconds)
            logger.warning(
                "%s: its stream has ended before its result was taken; the work runs again",
                describe(self.item),
            )
            return True
        return False

    def has_succeeded(self) -> None:
        """The answer was taken."""
        if self.repeats:
            logger.info("%s: its result was taken at last", describe(self.item))


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


def _is_for_what_it_is(error: grpc.aio.AioRpcError, answer: Message) -> bool:
    """Whether an answer is refused because of what is in it, and not of when it came."""
    exhausted = error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    return (
        error.code() == grpc.StatusCode.INVALID_ARGUMENT
        or is_too_large(error)
        or (exhausted and answer.ByteSize() > MAX_MESSAGE_BYTES)
    )


def _failure(item: pb.WorkItem, message: str) -> Message:
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
