"""Turns history events into rows of a table. Pure; the template escapes every text in them."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import BoolValue, DoubleValue, Int32Value, StringValue

# What a trace viewer wants to know, or what stands in a column of its own.
_LEFT_OUT = {"name", "parentTraceContext", "orchestrationSpanID", "taskExecutionId"}
_LONG = 100
MAX_PAYLOAD = 65_536


@dataclass(frozen=True)
class Detail:
    """One fact of an event."""

    label: str
    text: str

    @property
    def is_long(self) -> bool:
        """Whether the text is folded away until somebody wants to see it."""
        return len(self.text) > _LONG or "\n" in self.text

    @property
    def beginning(self) -> str:
        """The first words of the text, on one line."""
        return " ".join(self.text[:_LONG].split())


@dataclass(frozen=True)
class HistoryRow:
    """One history event."""

    moment: datetime
    kind: str
    event_id: int | None
    name: str
    details: tuple[Detail, ...]
    child_id: str | None
    """The instance id of the sub-orchestration that this event created."""


def history_row(event: pb.HistoryEvent) -> HistoryRow:
    """Return the row of one event."""
    kind = event.WhichOneof("eventType") or ""
    body: Message | None = getattr(event, kind) if kind else None
    created_child = kind == "subOrchestrationInstanceCreated"
    return HistoryRow(
        moment=event.timestamp.ToDatetime(tzinfo=UTC),
        kind=kind[:1].upper() + kind[1:],
        event_id=event.eventId if event.eventId >= 0 else None,
        name=_name(body),
        details=tuple(_details(body)) if body is not None else (),
        child_id=event.subOrchestrationInstanceCreated.instanceId if created_child else None,
    )


def readable(payload: str) -> str:
    """Return a payload laid out for reading if it is JSON; a very long one is cut."""
    # What is not JSON, or nested too deeply to lay out, is shown as it is.
    with contextlib.suppress(ValueError, RecursionError):
        payload = json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    if len(payload) <= MAX_PAYLOAD:
        return payload
    return f"{payload[:MAX_PAYLOAD]}\n... ({len(payload) - MAX_PAYLOAD} more characters)"


def failure_text(failure: pb.TaskFailureDetails) -> str:
    """Return a failure with what caused it and where it came from."""
    text = f"{failure.errorType}: {failure.errorMessage}"
    if failure.stackTrace.value:
        text += f"\n\n{failure.stackTrace.value}"
    if failure.HasField("innerFailure"):
        text += f"\n\ncaused by {failure_text(failure.innerFailure)}"
    return text


def _name(body: Message | None) -> str:
    name: object = getattr(body, "name", "")
    if isinstance(name, StringValue):
        return name.value
    return name if isinstance(name, str) else ""


def _details(body: Message) -> Iterator[Detail]:
    for field, value in body.ListFields():
        if field.name not in _LEFT_OUT:
            yield Detail(field.name, _text(field.name, value))


def _text(name: str, value: Any) -> str:
    match value:
        case StringValue():
            text = value.value
            return readable(text) if len(text) > _LONG else text
        case BoolValue() | Int32Value() | DoubleValue():
            return str(value.value)
        case Timestamp():
            return f"{value.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M:%S.%f} UTC"
        case pb.TaskFailureDetails():
            return failure_text(value)
        case pb.OrchestrationInstance():
            return value.instanceId
        case pb.ParentInstanceInfo():
            return value.orchestrationInstance.instanceId
        case int() if name == "orchestrationStatus":
            return status_name(value)
        case _:
            return str(value)


def status_name(status: int) -> str:
    """Return a status as a person reads it, like `Running`."""
    return pb.OrchestrationStatus.Name(status).removeprefix("ORCHESTRATION_STATUS_").capitalize()
