"""GET instances/{id} and GET instances: the state of one instance, and of many."""

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue
from starlette.responses import Response

from local_runtime.functions_host.web.request_parts import raw_path
from local_runtime.functions_host.webhook.call import Call
from local_runtime.functions_host.webhook.contract.parameters import (
    CONTINUATION_TOKEN,
    CREATED_FROM,
    CREATED_TO,
    ID_PREFIX,
    INSTANCE_ID,
    RETURN_500,
    RUNTIME_STATUS,
    SHOW_HISTORY,
    SHOW_HISTORY_OUTPUT,
    SHOW_INPUT,
)
from local_runtime.functions_host.webhook.handlers.pages import asked_token, page_size
from local_runtime.functions_host.webhook.replies import empty, reply
from local_runtime.functions_host.webhook.shapes import moments
from local_runtime.functions_host.webhook.shapes.history_view import Shown, history_view
from local_runtime.functions_host.webhook.shapes.payloads import STATUS_OF_NAME, status_payload
from local_runtime.functions_host.webhook.shapes.stored_payloads import fill_in
from local_runtime.functions_host.webhook.task_hub.instances import TERMINAL
from local_runtime.functions_host.webhook.task_hub.paging import fitting_page, to_header


async def get_status(call: Call) -> Response:
    """Answer an instance's state: 202 while it runs, so that a client knows to ask again."""
    state = await call.instances.get(call.path(INSTANCE_ID))
    if state is None:
        return empty(404)
    show_input = call.query.flag(SHOW_INPUT)
    if not show_input:
        state.ClearField("input")
    await fill_in(state)
    history = None
    started = state.orchestrationStatus != pb.ORCHESTRATION_STATUS_PENDING
    if started and call.query.flag(SHOW_HISTORY):
        shown = Shown(show_input, call.query.flag(SHOW_HISTORY_OUTPUT))
        history = history_view(await _history(call, state), shown)
    payload = status_payload(state, show_input=show_input, history=history)
    if state.orchestrationStatus not in TERMINAL:
        location = f"{call.urls.origin}{raw_path(call.request)}"
        query = f"?{call.request.url.query}" if call.request.url.query else ""
        return reply(202, payload, {"Location": location + query, "Retry-After": "5"})
    failed = state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    as_error = failed and call.query.flag(RETURN_500)
    return reply(500 if as_error else 200, payload)


async def _history(call: Call, state: pb.OrchestrationState) -> list[pb.HistoryEvent]:
    """Return a history; of one that is damaged in the scheduler's file, an event that says so."""
    try:
        return await call.instances.history(state.instanceId)
    except grpc.aio.AioRpcError as problem:
        if problem.code() is not grpc.StatusCode.DATA_LOSS:
            raise
        told = pb.GenericEvent(data=StringValue(value=f"DamagedData: {problem.details()}"))
        return [pb.HistoryEvent(timestamp=state.lastUpdatedTimestamp, genericEvent=told)]


async def list_instances(call: Call) -> Response:
    """Answer one page of instances; the continuation header is always there, empty at the end."""
    token = asked_token(call)

    async def fetch(size: int, with_payloads: bool) -> pb.QueryInstancesResponse:
        return await call.instances.query(
            pb.InstanceQuery(
                runtimeStatus=statuses(call),
                createdTimeFrom=moments.parse(call.query.get(CREATED_FROM)),
                createdTimeTo=moments.parse(call.query.get(CREATED_TO)),
                maxInstanceCount=size,
                continuationToken=_optional(token),
                instanceIdPrefix=_optional(call.query.get(ID_PREFIX)),
                fetchInputsAndOutputs=with_payloads,
            )
        )

    page = await fitting_page(fetch, page_size(call))
    show_input = call.query.flag(SHOW_INPUT)
    items = [status_payload(state, show_input=show_input) for state in page.orchestrationState]
    return reply(200, items, {CONTINUATION_TOKEN.name: to_header(page.continuationToken.value)})


def statuses(call: Call) -> list[pb.OrchestrationStatus]:
    """Return the states asked for; an unknown name is ignored, and no known one is no filter."""
    names = ",".join(call.query.all(RUNTIME_STATUS)).split(",")
    return [STATUS_OF_NAME[name.strip()] for name in names if name.strip() in STATUS_OF_NAME]


def _optional(text: str | None) -> StringValue | None:
    return StringValue(value=text) if text else None
