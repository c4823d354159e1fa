"""GET instances/{id} and GET instances: the state of one instance, and of many."""

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue
from starlette.responses import Response

from local_runtime.functions_host.web.request_parts import raw_path
from local_runtime.functions_host.webhook import moments
from local_runtime.functions_host.webhook.call import Call
from local_runtime.functions_host.webhook.history_view import Shown, history_view
from local_runtime.functions_host.webhook.instances import TERMINAL
from local_runtime.functions_host.webhook.payloads import STATUS_OF_NAME, status_payload
from local_runtime.functions_host.webhook.replies import empty, reply
from local_runtime.functions_host.webhook.stored_payloads import fill_in

_CONTINUATION = "x-ms-continuation-token"
_PAGE_SIZE = 100
_LARGEST_PAGE = 2**31 - 1


async def get_status(call: Call) -> Response:
    """Answer an instance's state: 202 while it runs, so that a client knows to ask again."""
    state = await call.instances.get(call.params["instanceid"])
    if state is None:
        return empty(404)
    show_input = call.query.flag("showInput", True)
    if not show_input:
        state.ClearField("input")
    await fill_in(state)
    history = None
    started = state.orchestrationStatus != pb.ORCHESTRATION_STATUS_PENDING
    if started and call.query.flag("showHistory", False):
        shown = Shown(show_input, call.query.flag("showHistoryOutput", False))
        history = history_view(await call.instances.history(state.instanceId), shown)
    payload = status_payload(state, show_input=show_input, history=history)
    if state.orchestrationStatus not in TERMINAL:
        location = f"{call.urls.origin}{raw_path(call.request)}"
        query = f"?{call.request.url.query}" if call.request.url.query else ""
        return reply(202, payload, {"Location": location + query, "Retry-After": "5"})
    failed = state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    as_error = failed and call.query.flag("returnInternalServerErrorOnFailure", False)
    return reply(500 if as_error else 200, payload)


async def list_instances(call: Call) -> Response:
    """Answer one page of instances; the continuation header is always there, empty at the end."""
    query = pb.InstanceQuery(
        runtimeStatus=statuses(call),
        createdTimeFrom=moments.parse(call.query.get("createdTimeFrom")),
        createdTimeTo=moments.parse(call.query.get("createdTimeTo")),
        maxInstanceCount=_page_size(call),
        continuationToken=_optional(call.request.headers.get(_CONTINUATION)),
        instanceIdPrefix=_optional(call.query.get("instanceIdPrefix")),
        fetchInputsAndOutputs=True,
    )
    page = await call.instances.query(query)
    show_input = call.query.flag("showInput", True)
    items = [status_payload(state, show_input=show_input) for state in page.orchestrationState]
    return reply(200, items, {_CONTINUATION: page.continuationToken.value})


def statuses(call: Call) -> list[pb.OrchestrationStatus]:
    """Return the states asked for; an unknown name is ignored, and no known one is no filter."""
    names = ",".join(call.query.all("runtimeStatus")).split(",")
    return [STATUS_OF_NAME[name.strip()] for name in names if name.strip() in STATUS_OF_NAME]


def _page_size(call: Call) -> int:
    text = call.query.get("top") or ""
    size = int(text) if text.isascii() and text.isdigit() else 0
    return size if 0 < size <= _LARGEST_PAGE else _PAGE_SIZE


def _optional(text: str | None) -> StringValue | None:
    return StringValue(value=text) if text else None
