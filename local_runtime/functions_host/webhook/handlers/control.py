"""POST instances/{id}/terminate, suspend, resume and raiseEvent/{eventName}."""

import json
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
from starlette.responses import Response

from local_runtime.functions_host.webhook.call import Call
from local_runtime.functions_host.webhook.contract.parameters import (
    EVENT_NAME,
    INSTANCE_ID,
    REASON,
)
from local_runtime.functions_host.webhook.replies import bad_json, empty, error
from local_runtime.functions_host.webhook.shapes import json_text
from local_runtime.functions_host.webhook.task_hub.instances import TERMINAL


async def terminate(call: Call) -> Response:
    """End an instance; the reason given becomes its output. Its children run on, as on Azure."""
    reason = call.query.get(REASON)
    # An output is JSON text: the reason as a bare word could not be read by the SDK's clients.
    output = None if reason is None else json.dumps(reason, ensure_ascii=False)
    return await _control(call, lambda id_: call.instances.terminate(id_, output))


async def suspend(call: Call) -> Response:
    """Pause an instance; nothing happens if it is paused already."""
    reason = call.query.get(REASON)
    return await _control(call, lambda id_: call.instances.suspend(id_, reason))


async def resume(call: Call) -> Response:
    """Let a paused instance go on; nothing happens if it is not paused."""
    reason = call.query.get(REASON)
    return await _control(call, lambda id_: call.instances.resume(id_, reason))


async def raise_event(call: Call) -> Response:
    """Send an external event with the body's JSON as its data."""
    refused = await _refusal(call)
    if refused is not None:
        return refused
    if call.media_type != "application/json":
        return error(400, "Only application/json request content is supported")
    try:
        data = json_text.check(call.body)
    except ValueError as problem:
        raise bad_json(str(problem)) from problem
    if data is None:
        raise bad_json("The body is empty.")
    name = call.path(EVENT_NAME)
    return await _done(lambda id_: call.instances.raise_event(id_, name, data), call)


async def _control(call: Call, act: Callable[[str], Awaitable[None]]) -> Response:
    return await _refusal(call) or await _done(act, call)


async def _refusal(call: Call) -> Response | None:
    status = await call.instances.status(call.path(INSTANCE_ID))
    if status is None:
        return empty(404)
    return empty(410) if status in TERMINAL else None


async def _done(act: Callable[[str], Awaitable[None]], call: Call) -> Response:
    try:
        await act(call.path(INSTANCE_ID))
    except grpc.aio.AioRpcError as problem:
        # It was purged, or it ended, between the look and the act.
        codes = {grpc.StatusCode.NOT_FOUND: 404, grpc.StatusCode.FAILED_PRECONDITION: 410}
        if problem.code() not in codes:
            raise
        return empty(codes[problem.code()])
    return empty(202)
