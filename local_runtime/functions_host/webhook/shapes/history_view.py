"""A history as the webhook shows it: what was scheduled is folded into what came of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.functions_host.webhook.shapes import json_text, moments
from local_runtime.functions_host.webhook.shapes.payloads import RUNTIME_STATUS

_LEFT_OUT = frozenset({"orchestratorStarted", "orchestratorCompleted"})
_SCHEDULING = frozenset({"taskScheduled", "subOrchestrationInstanceCreated"})
_HIDDEN_FIELDS = frozenset(
    {
        *("orchestrationInstance", "parentInstance", "version", "tags", "taskScheduledId"),
        *("timerId", "parentTraceContext", "orchestrationSpanID"),
    }
)


@dataclass(frozen=True)
class Shown:
    """What the caller asked to see."""

    inputs: bool
    outputs: bool


def history_view(events: Iterable[pb.HistoryEvent], shown: Shown) -> list[dict[str, Any]]:
    """Return the events of a history in the webhook's form."""
    items: list[tuple[int | None, dict[str, Any]]] = []
    scheduled: dict[int, pb.HistoryEvent] = {}
    folded: set[int] = set()
    for event in events:
        kind = event.WhichOneof("eventType") or ""
        if kind in _LEFT_OUT:
            continue
        item = _view(event, kind, shown)
        if kind in _SCHEDULING:
            scheduled[event.eventId] = event
            items.append((event.eventId, item))
            continue
        origin = _scheduled_id(event, kind)
        if origin in scheduled:
            folded.add(origin)
            _fold(item, scheduled[origin], shown)
        items.append((None, item))
    return [dict(sorted(item.items())) for event_id, item in items if event_id not in folded]


def _view(event: pb.HistoryEvent, kind: str, shown: Shown) -> dict[str, Any]:
    body: Message = getattr(event, kind)
    item: dict[str, Any] = {
        "EventType": _pascal(kind),
        "Timestamp": moments.exact(event.timestamp),
    }
    for field, value in body.ListFields():
        if field.name in _HIDDEN_FIELDS:
            continue
        if field.name == "input" and not shown.inputs:
            continue
        if field.name in ("result", "output") and not shown.outputs:
            continue
        item[_pascal(field.name)] = _value(field.name, value)
    if kind == "executionStarted":
        item["FunctionName"] = item.pop("Name")
    if kind == "executionCompleted":
        item["OrchestrationStatus"] = RUNTIME_STATUS[event.executionCompleted.orchestrationStatus]
    return item


def _scheduled_id(event: pb.HistoryEvent, kind: str) -> int:
    return int(getattr(getattr(event, kind), "taskScheduledId", -1))


def _fold(item: dict[str, Any], scheduled: pb.HistoryEvent, shown: Shown) -> None:
    body = getattr(scheduled, scheduled.WhichOneof("eventType") or "")
    item["ScheduledTime"] = moments.exact(scheduled.timestamp)
    item["FunctionName"] = body.name
    if shown.inputs and body.HasField("input"):
        item["Input"] = body.input.value


def _value(name: str, value: Any) -> object:
    match value:
        case StringValue():
            return json_text.parse(value.value) if name in ("result", "output") else value.value
        case Timestamp():
            return moments.exact(value)
        case pb.TaskFailureDetails():
            return _failure(value)
        case Message():
            return {
                _pascal(field.name): _value(field.name, inner)
                for field, inner in value.ListFields()
            }
        case str() | int() | float() | bool():
            return value
        case _:
            return [_value(name, inner) for inner in value]


def _failure(details: pb.TaskFailureDetails) -> dict[str, Any]:
    view: dict[str, Any] = {
        "ErrorType": details.errorType,
        "ErrorMessage": details.errorMessage,
        "StackTrace": details.stackTrace.value or None,
        "IsNonRetriable": details.isNonRetriable,
    }
    if details.HasField("innerFailure"):
        view["InnerFailure"] = _failure(details.innerFailure)
    return view


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]
