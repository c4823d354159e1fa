"""The JSON shapes of an instance's state: fields and their order are the extension's."""

from collections.abc import Sequence
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.functions_host.webhook.shapes import json_text, moments

RUNTIME_STATUS = {
    pb.ORCHESTRATION_STATUS_RUNNING: "Running",
    pb.ORCHESTRATION_STATUS_COMPLETED: "Completed",
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: "ContinuedAsNew",
    pb.ORCHESTRATION_STATUS_FAILED: "Failed",
    pb.ORCHESTRATION_STATUS_CANCELED: "Canceled",
    pb.ORCHESTRATION_STATUS_TERMINATED: "Terminated",
    pb.ORCHESTRATION_STATUS_PENDING: "Pending",
    pb.ORCHESTRATION_STATUS_SUSPENDED: "Suspended",
}
# As .NET reads an enumeration: by name with case, or by number.
STATUS_OF_NAME = {name: status for status, name in RUNTIME_STATUS.items()} | {
    str(int(status)): status for status in RUNTIME_STATUS
}


def status_payload(
    state: pb.OrchestrationState,
    *,
    show_input: bool = True,
    history: Sequence[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return an instance's state."""
    payload: dict[str, Any] = {
        "name": state.name,
        "instanceId": state.instanceId,
        "runtimeStatus": RUNTIME_STATUS[state.orchestrationStatus],
        "input": _stored(state, "input") if show_input else None,
        "customStatus": _stored(state, "customStatus"),
        "output": _output(state),
        "createdTime": moments.seconds(state.createdTimestamp),
        "lastUpdatedTime": moments.seconds(state.lastUpdatedTimestamp),
    }
    if history is not None:
        payload["historyEvents"] = list(history)
    return payload


def _output(state: pb.OrchestrationState) -> object:
    if state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED and state.HasField(
        "failureDetails"
    ):
        return state.failureDetails.errorMessage
    return _stored(state, "output")


def _stored(state: pb.OrchestrationState, field: str) -> object:
    if not state.HasField(field):
        return None
    stored: StringValue = getattr(state, field)
    return json_text.parse(stored.value)
