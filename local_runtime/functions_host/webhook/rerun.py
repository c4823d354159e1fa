"""POST instances/{id}/restart and rewind: run an instance again, from its start or its failure."""

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from starlette.responses import Response

from local_runtime.functions_host.webhook.call import Call
from local_runtime.functions_host.webhook.payloads import RUNTIME_STATUS
from local_runtime.functions_host.webhook.replies import empty, error, reply
from local_runtime.functions_host.webhook.start import answer_started, wait_seconds


async def restart(call: Call) -> Response:
    """Start a finished instance again with its input, under a new id unless asked otherwise."""
    seconds = wait_seconds(call)
    anew = call.query.flag("restartWithNewInstanceId", True)
    try:
        instance_id = await call.instances.restart(call.params["instanceid"], with_new_id=anew)
    except grpc.aio.AioRpcError as problem:
        if problem.code() == grpc.StatusCode.NOT_FOUND:
            return error(400, "InstanceId does not match a valid orchestration instance.")
        if problem.code() == grpc.StatusCode.FAILED_PRECONDITION:
            return error(409, "A non-terminal instance with this instance ID already exists.")
        raise
    return await answer_started(call, instance_id, seconds)


async def rewind(call: Call) -> Response:
    """Let a failed instance go on from before its failure."""
    instance_id = call.params["instanceid"]
    state = await call.instances.get(instance_id)
    if state is None:
        return _not_found(instance_id)
    if state.orchestrationStatus != pb.ORCHESTRATION_STATUS_FAILED:
        return _not_failed(RUNTIME_STATUS[state.orchestrationStatus])
    try:
        await call.instances.rewind(instance_id, call.query.get("reason"))
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
