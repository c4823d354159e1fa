"""POST orchestrators/{functionName}/{instanceId?}: starts an instance (architecture, step 1)."""

import logging
import re

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue
from starlette.responses import Response

from local_runtime.functions_host.app.function_index import ORCHESTRATION
from local_runtime.functions_host.webhook.call import Call
from local_runtime.functions_host.webhook.contract.parameters import (
    FUNCTION_NAME,
    NEW_INSTANCE_ID,
    POLLING_INTERVAL,
    RETURN_500,
    TIMEOUT,
    VERSION,
)
from local_runtime.functions_host.webhook.replies import (
    bad_argument,
    bad_json,
    busy,
    error,
    raw_reply,
    reply,
)
from local_runtime.functions_host.webhook.shapes import json_text
from local_runtime.functions_host.webhook.shapes.payloads import RUNTIME_STATUS, status_payload
from local_runtime.functions_host.webhook.shapes.stored_payloads import fill_in
from local_runtime.functions_host.webhook.task_hub.instances import TERMINAL, StartIsOpen
from local_runtime.functions_host.webhook.trace_context import trace_context

_LONGEST_ID = 256
_LONGEST_MANAGED_ID = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

logger = logging.getLogger("local_runtime.host")


async def start(call: Call) -> Response:
    """Start an instance; answer its management URLs, or its output if the caller waits for it."""
    seconds = wait_seconds(call)
    request = _request(call)
    try:
        async with call.starts.turn():
            instance_id = await call.instances.start(request)
    except grpc.aio.AioRpcError as problem:
        if problem.code() == grpc.StatusCode.ALREADY_EXISTS:
            return error(409, _already_exists(request.instanceId, problem))
        raise
    except StartIsOpen as still_open:
        return busy(_still_open(still_open))
    # The scheduler has put the start on disk by now: what is answered 202 is not lost.
    return await answer_started(call, instance_id, seconds)


async def answer_started(call: Call, instance_id: str, seconds: float | None) -> Response:
    """Answer for an instance that was started: at once, or with its output within `seconds`."""
    if seconds is not None:
        return await _wait(call, instance_id, seconds)
    return check_status(call, instance_id)


def check_status(call: Call, instance_id: str) -> Response:
    """Return 202 with the URLs by which the caller follows and manages the instance."""
    error_on_failure = call.query.flag(RETURN_500)
    payload = call.urls.payload(instance_id, error_on_failure=error_on_failure)
    return reply(202, payload, {"Location": payload["statusQueryGetUri"], "Retry-After": "10"})


def _request(call: Call) -> pb.CreateInstanceRequest:
    context = call.context
    name = call.path(FUNCTION_NAME)
    function = context.index.find(ORCHESTRATION, name)
    if function is None:
        raise bad_argument(context.index.unknown(ORCHESTRATION, name))
    instance_id = call.params.get(NEW_INSTANCE_ID.name.lower()) or context.new_id()
    _check_id(instance_id)
    try:
        text = json_text.check(call.body)
    except ValueError as problem:
        raise bad_json(str(problem)) from problem
    version = call.query.get(VERSION) or context.host.default_version
    now = Timestamp()
    now.FromDatetime(context.clock.now())
    return pb.CreateInstanceRequest(
        instanceId=instance_id,
        # With it a start that is repeated is the same start.
        executionId=StringValue(value=context.new_id()),
        name=function.durable_name,
        input=None if text is None else StringValue(value=text),
        version=StringValue(value=version) if version else None,
        orchestrationIdReusePolicy=pb.OrchestrationIdReusePolicy(
            replaceableStatus=list(RUNTIME_STATUS)
            if context.host.replace_running_instances
            else sorted(TERMINAL)
        ),
        parentTraceContext=trace_context(call),
        requestTime=now,
    )


def _check_id(instance_id: str) -> None:
    if instance_id.startswith("@"):
        raise bad_argument("Orchestration instance IDs must not start with @.")
    if _CONTROL.search(instance_id) or any(char in instance_id for char in "/\\#?"):
        raise bad_argument(
            "Orchestration instance IDs must not contain /, \\, #, ?, or control characters."
        )
    if len(instance_id) > _LONGEST_ID:
        raise bad_argument(f"Orchestration instance IDs must not exceed {_LONGEST_ID} characters.")
    if len(instance_id) > _LONGEST_MANAGED_ID or not instance_id.isascii():
        logger.warning(
            "%s: the managed scheduler would refuse this instance id: it takes at most %d "
            "printable ASCII characters",
            instance_id,
            _LONGEST_MANAGED_ID,
        )


def _already_exists(instance_id: str, problem: grpc.aio.AioRpcError) -> str:
    return problem.details() or f"An instance with the ID '{instance_id}' already exists."


def _still_open(problem: StartIsOpen) -> str:
    logger.warning(
        "%s: the scheduler did not say whether the instance has started (%s: %s)",
        problem.instance_id,
        problem.error.code().name,
        problem.error.details(),
    )
    return (
        f"The scheduler does not answer ({problem.error.code().name}). The instance "
        f"'{problem.instance_id}' may have started: ask for its status before you start it again."
    )


def wait_seconds(call: Call) -> float | None:
    """Return how long the caller waits for the output; None if it asked for no wait.

    The scheduler answers as soon as the instance ends, so the polling interval that the contract
    asks for is checked and otherwise not needed.
    """
    timeout = call.query.seconds(TIMEOUT)
    interval = call.query.seconds(POLLING_INTERVAL)
    if timeout is not None and interval is not None and interval > timeout:
        raise bad_argument(
            f"Total timeout {timeout:g} should be bigger than retry timeout {interval:g}"
        )
    return timeout


async def _wait(call: Call, instance_id: str, seconds: float) -> Response:
    state = await call.instances.wait(instance_id, seconds)
    if state is None:
        return check_status(call, instance_id)
    await fill_in(state)
    if state.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED:
        return raw_reply(200, state.output.value if state.HasField("output") else "null")
    failed_code = 500 if call.query.flag(RETURN_500) else 200
    return reply(failed_code, status_payload(state))
