"""POST instances/{id}/restart and rewind: run an instance again, from its start or its failure."""

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from starlette.responses import Response

from local_runtime.functions_host.webhook.call import Call
from local_runtime.functions_host.webhook.contract.parameters import INSTANCE_ID, NEW_ID, REASON
from local_runtime.functions_host.webhook.handlers.start import answer_started, wait_seconds
from local_runtime.functions_host.webhook.replies import empty, exception, reply
from local_runtime.functions_host.webhook.shapes.payloads import RUNTIME_STATUS


async def restart(call: Call) -> Response:
    """Start a finished instance again with its input, under a new id unless asked otherwise."""
    seconds = wait_seconds(call)
    instance_id, anew = call.path(INSTANCE_ID), call.query.flag(NEW_ID)
    try:
        async with call.starts.turn():
            new_id = await call.instances.restart(instance_id, with_new_id=anew)
    except grpc.aio.AioRpcError as problem:
        if problem.code() == grpc.StatusCode.NOT_FOUND:
            return exception(
                400,
                "InstanceId does not match a valid orchestration instance.",
                f"An orchestration with the instanceId {instance_id} was not found.",
            )
        if problem.code() == grpc.StatusCode.FAILED_PRECONDITION:
            return exception(
                409,
                "A non-terminal instance with this instance ID already exists.",
                problem.details() or "",
                "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException",
            )
        raise
    return await answer_started(call, new_id, seconds)


async def rewind(call: Call) -> Response:
    """Let a failed instance go on from before its failure."""
    instance_id = call.path(INSTANCE_ID)
    status = await call.instances.status(instance_id)
    if status is None:
        return _not_found(instance_id)
    if status != pb.ORCHESTRATION_STATUS_FAILED:
        return _not_failed(RUNTIME_STATUS[status])
    try:
        await call.instances.rewind(instance_id, call.query.get(REASON))
    except grpc.aio.AioRpcError as problem:
        # It was purged, or rewound by another, between the look and the act.
        if problem.code() == grpc.StatusCode.NOT_FOUND:
            return _not_found(instance_id)
        if problem.code() == grpc.StatusCode.FAILED_PRECONDITION:
            return _not_failed("Running")
        raise
    return empty(202)


def _not_found(instance_id: str) -> Response:
    # The extension writes the dollar sign, too.
    return reply(404, f'No orchestration with instance ID "${instance_id}" found.')


def _not_failed(status: str) -> Response:
    return reply(
        412,
        f"This orchestration has status {status}, but only orchestrations in the "
        '"Failed" state can be rewound.',
    )
