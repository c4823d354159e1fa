"""An instance as the dashboard shows it. Pure; the template escapes every text in it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from local_runtime.dashboard.history_rows import failure_text, readable, status_name

STATUSES = {
    status_name(status): status
    for status in (
        pb.ORCHESTRATION_STATUS_PENDING,
        pb.ORCHESTRATION_STATUS_RUNNING,
        pb.ORCHESTRATION_STATUS_SUSPENDED,
        pb.ORCHESTRATION_STATUS_COMPLETED,
        pb.ORCHESTRATION_STATUS_FAILED,
        pb.ORCHESTRATION_STATUS_TERMINATED,
    )
}
"""The statuses in which an instance can be, by the name that is shown."""

_UNFINISHED = ("Pending", "Running", "Suspended")


@dataclass(frozen=True)
class Payload:
    """A text that belongs to an instance, under its title."""

    title: str
    text: str


@dataclass(frozen=True)
class InstanceView:
    """One orchestration instance."""

    instance_id: str
    name: str
    status: str
    created: datetime
    updated: datetime
    duration: str
    execution_id: str
    parent_id: str
    payloads: tuple[Payload, ...]

    @property
    def is_finished(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status not in _UNFINISHED

    @classmethod
    def of(cls, state: pb.OrchestrationState, now: datetime) -> Self:
        """Return the view of a state, whose duration counts until `now` if it still runs."""
        status = status_name(state.orchestrationStatus)
        created, updated = _moment(state.createdTimestamp), _moment(state.lastUpdatedTimestamp)
        ended = (
            _moment(state.completedTimestamp) if state.HasField("completedTimestamp") else updated
        )
        until = now if status in _UNFINISHED else ended
        return cls(
            instance_id=state.instanceId,
            name=state.name,
            status=status,
            created=created,
            updated=updated,
            duration=_duration((until - created).total_seconds()),
            execution_id=state.executionId.value,
            parent_id=state.parentInstanceId.value,
            payloads=tuple(_payloads(state)),
        )


def _payloads(state: pb.OrchestrationState) -> list[Payload]:
    found: list[Payload] = []
    if state.HasField("failureDetails"):
        found.append(Payload("Failure", failure_text(state.failureDetails)))
    for title, field in (
        ("Custom status", "customStatus"),
        ("Input", "input"),
        ("Output", "output"),
    ):
        if state.HasField(field):
            found.append(Payload(title, readable(getattr(state, field).value)))
    if state.tags:
        tags = "\n".join(f"{name}: {value}" for name, value in sorted(state.tags.items()))
        found.append(Payload("Tags", tags))
    return found


def _moment(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)


def _duration(seconds: float) -> str:
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"
