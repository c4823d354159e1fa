"""The caller's trace, as a request's headers carry it (W3C)."""

import re

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.functions_host.webhook.call import Call
from local_runtime.functions_host.webhook.contract.parameters import TRACE_PARENT, TRACE_STATE

_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-([0-9a-f]{16})-[0-9a-f]{2}")


def trace_context(call: Call) -> pb.TraceContext | None:
    """Return the caller's trace; None if there is none that makes sense."""
    trace_parent = (call.header(TRACE_PARENT) or "").strip()
    match = _TRACE_PARENT.fullmatch(trace_parent)
    if match is None:
        return None
    state = call.header(TRACE_STATE)
    return pb.TraceContext(
        traceParent=trace_parent,
        spanID=match[1],
        traceState=StringValue(value=state) if state else None,
    )
