"""Runs one turn of an orchestration: history in, the orchestrator's actions out (steps 5 and 6)."""

import base64
import logging

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.functions_host.app.function_index import ORCHESTRATION, FunctionIndex
from local_runtime.functions_host.app.invocation import FunctionFailed, Invoker
from local_runtime.functions_host.app.worker_messages import TypedData
from local_runtime.functions_host.work.failure import failure_details, not_found

logger = logging.getLogger("local_runtime.host")


class OrchestrationBridge:
    """Invokes orchestrator functions for the scheduler."""

    def __init__(self, index: FunctionIndex, invoker: Invoker) -> None:
        self._index = index
        self._invoker = invoker

    async def run(self, request: pb.OrchestratorRequest, token: str) -> pb.OrchestratorResponse:
        """Replay the orchestrator of `request` and return what it wants done next."""
        name = _name(request)
        function = self._index.find(ORCHESTRATION, name)
        if function is None:
            message = self._index.unknown(ORCHESTRATION, name)
            return failed(request, token, not_found("OrchestratorFunctionNotFound", message))
        payload = base64.b64encode(request.SerializeToString()).decode("ascii")
        try:
            returned = await self._invoker.invoke(
                function, TypedData(string=payload), instance_id=request.instanceId
            )
        except FunctionFailed as error:
            # The SDK itself turns an orchestrator's exceptions into a failed completion. What
            # comes here is a trigger that could not be run at all, and a retry changes nothing.
            logger.error(
                "%s: orchestrator %s could not be run: %s\n%s",
                request.instanceId,
                name,
                error.text,
                error.stack_trace,
            )
            return failed(request, token, failure_details(error))
        response = pb.OrchestratorResponse()
        response.ParseFromString(returned.message())
        response.instanceId = request.instanceId
        response.completionToken = token
        return response


def failed(
    request: pb.OrchestratorRequest, token: str, details: pb.TaskFailureDetails
) -> pb.OrchestratorResponse:
    """Return the answer that the orchestration is over, failed with `details`."""
    completion = pb.CompleteOrchestrationAction(
        orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=details
    )
    return pb.OrchestratorResponse(
        instanceId=request.instanceId,
        completionToken=token,
        actions=[pb.OrchestratorAction(id=_next_id(request), completeOrchestration=completion)],
    )


def _next_id(request: pb.OrchestratorRequest) -> int:
    """An action's id becomes its event's id, so it must not be one that the history holds."""
    return max((event.eventId for event in request.pastEvents), default=-1) + 1


def _name(request: pb.OrchestratorRequest) -> str:
    started = ""
    for events in (request.pastEvents, request.newEvents):
        for event in events:
            if event.HasField("executionStarted"):
                started = event.executionStarted.name
    return started
