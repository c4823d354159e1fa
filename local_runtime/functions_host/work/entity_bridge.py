"""Runs one batch of operations on an entity for the scheduler."""

import base64
import logging

from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.helpers import convert_to_entity_batch_request

from local_runtime.functions_host.app.function_index import ENTITY, FunctionIndex
from local_runtime.functions_host.app.invocation import FunctionFailed, Invoker
from local_runtime.functions_host.app.worker_messages import TypedData
from local_runtime.functions_host.work.failure import failure_details, not_found

logger = logging.getLogger("local_runtime.host")


class EntityBridge:
    """Invokes entity functions for the scheduler."""

    def __init__(self, index: FunctionIndex, invoker: Invoker) -> None:
        self._index = index
        self._invoker = invoker

    async def run(self, request: pb.EntityRequest, token: str) -> pb.EntityBatchResult:
        """Apply the operations of `request`, and say to whom each result goes."""
        batch, infos = to_batch(request)
        result = await self.run_batch(batch, token)
        result.operationInfos.extend(infos)
        return result

    async def run_batch(self, batch: pb.EntityBatchRequest, token: str) -> pb.EntityBatchResult:
        """Apply the operations of `batch`."""
        name = batch.instanceId.removeprefix("@").partition("@")[0]
        function = self._index.find(ENTITY, name)
        if function is None:
            message = self._index.unknown(ENTITY, name)
            return refused(batch, token, not_found("EntityFunctionNotFound", message))
        payload = base64.b64encode(batch.SerializeToString()).decode("ascii")
        try:
            returned = await self._invoker.invoke(
                function, TypedData(string=payload), instance_id=batch.instanceId
            )
        except FunctionFailed as error:
            # The SDK turns an operation's exception into that operation's failure. What comes
            # here is an entity function that could not be run at all.
            logger.error(
                "%s: entity could not be run: %s\n%s",
                batch.instanceId,
                error.text,
                error.stack_trace,
            )
            details = failure_details(error)
            details.errorType = "FunctionInvocationFailed"
            return refused(batch, token, details)
        result = pb.EntityBatchResult()
        result.ParseFromString(returned.message())
        result.completionToken = token
        return result


def to_batch(request: pb.EntityRequest) -> tuple[pb.EntityBatchRequest, list[pb.OperationInfo]]:
    """Return the operations of `request` in the form that apps take, and who waits for each."""
    batch, infos = convert_to_entity_batch_request(request)
    if not request.HasField("entityState"):
        # The SDK's conversion turns "no state" into an empty one.
        batch.ClearField("entityState")
    return batch, infos


def refused(
    batch: pb.EntityBatchRequest, token: str, details: pb.TaskFailureDetails
) -> pb.EntityBatchResult:
    """Fail each operation with `details` and keep the state.

    Failing the batch as a whole would mean "try again", and here another try fails as well.
    """
    failure = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=details))
    return pb.EntityBatchResult(
        results=[failure for _ in batch.operations],
        entityState=batch.entityState if batch.HasField("entityState") else None,
        completionToken=token,
    )
