"""Runs one activity work item: scheduler message in, the function's answer out (steps 9 to 11)."""

import logging

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.functions_host.app.function_index import ACTIVITY, FunctionIndex
from local_runtime.functions_host.app.invocation import FunctionFailed, Invoker
from local_runtime.functions_host.app.worker_messages import TypedData
from local_runtime.functions_host.work.failure import failure_details, not_found

logger = logging.getLogger("local_runtime.host")


class ActivityBridge:
    """Invokes activity functions for the scheduler."""

    def __init__(self, index: FunctionIndex, invoker: Invoker) -> None:
        self._index = index
        self._invoker = invoker

    async def run(self, request: pb.ActivityRequest, token: str) -> pb.ActivityResponse:
        """Invoke the activity that `request` names and return its result or failure."""
        function = self._index.find(ACTIVITY, request.name)
        if function is None:
            message = self._index.unknown(ACTIVITY, request.name)
            return refused(request, token, not_found("ActivityFunctionNotFound", message))
        # An absent input is the JSON null: the worker library decodes no empty text.
        trigger = TypedData(json=request.input.value if request.HasField("input") else "null")
        try:
            returned = await self._invoker.invoke(
                function,
                trigger,
                trace_parent=request.parentTraceContext.traceParent,
                instance_id=request.orchestrationInstance.instanceId,
            )
        except FunctionFailed as failed:
            details = failure_details(failed)
            logger.warning(
                "%s: activity %s #%d failed: %s: %s",
                request.orchestrationInstance.instanceId,
                request.name,
                request.taskId,
                details.errorType,
                details.errorMessage,
            )
            return refused(request, token, details)
        result = returned.value.value if returned.value is not None else None
        return pb.ActivityResponse(
            instanceId=request.orchestrationInstance.instanceId,
            taskId=request.taskId,
            completionToken=token,
            result=StringValue(value=str(result)) if result is not None else None,
        )


def refused(
    request: pb.ActivityRequest, token: str, details: pb.TaskFailureDetails
) -> pb.ActivityResponse:
    """Return the answer that the activity has failed with `details`."""
    return pb.ActivityResponse(
        instanceId=request.orchestrationInstance.instanceId,
        taskId=request.taskId,
        completionToken=token,
        failureDetails=details,
    )
