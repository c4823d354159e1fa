"""How a task hub is: what the scheduler tells, as JSON, and as the page shows it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from local_runtime.background import TaskReport

NOT_ANSWERING = "not answering"
_SECOND = 1_000_000  # microseconds
_LATEST = 253_402_300_799 * _SECOND


class Worker(Protocol):
    """One connected worker. What it says of itself may be anything."""

    @property
    def number(self) -> int: ...  # noqa: D102 - fields, as the scheduler names them
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def connected_at(self) -> datetime | None: ...  # noqa: D102
    @property
    def held(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def answered_at(self) -> datetime | None: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def takes_bytes(self) -> int | None: ...  # noqa: D102


class Trouble(Protocol):
    """What went wrong with one instance or entity."""

    @property
    def target_id(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def at(self) -> datetime: ...  # noqa: D102


class SetAside(Protocol):
    """A row of the hub's file that cannot be read."""

    @property
    def what(self) -> str: ...  # noqa: D102
    @property
    def key(self) -> int | str: ...  # noqa: D102
    @property
    def target_id(self) -> str: ...  # noqa: D102
    @property
    def why(self) -> str: ...  # noqa: D102
    @property
    def due_at(self) -> int | None: ...  # noqa: D102


class HubStatus(Protocol):
    """One task hub at one moment."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def waiting(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def workers(self) -> Sequence[Worker]: ...  # noqa: D102
    @property
    def troubles(self) -> Sequence[Trouble]: ...  # noqa: D102
    @property
    def tasks(self) -> Sequence[TaskReport]: ...  # noqa: D102
    @property
    def set_aside(self) -> Sequence[SetAside]: ...  # noqa: D102
    @property
    def disk_problem(self) -> str: ...  # noqa: D102


def problems(hub: HubStatus) -> list[str]:
    """Return what is broken in a hub, each in one line."""
    return [f"task hub {hub.name}: {problem}" for problem in _problems(hub)]


def _problems(hub: HubStatus) -> Iterator[str]:
    if hub.disk_problem:
        yield f"its file cannot be used: {hub.disk_problem}"
    for task in hub.tasks:
        if not task.is_well:
            yield f"the background task {task.name!r} failed: {task.last_error}"
    for worker in hub.workers:
        if worker.state == NOT_ANSWERING:
            yield f"worker {worker.number} ({worker.name}) does not answer"
    if hub.set_aside:
        yield f"{len(hub.set_aside)} row(s) of its file cannot be read and are set aside"


def as_json(hubs: Sequence[HubStatus]) -> dict[str, Any]:
    """Return what GET /status answers."""
    found = [problem for hub in hubs for problem in problems(hub)]
    return {
        "state": "broken" if found else "ok",
        "problems": found,
        "hubs": [_hub(hub) for hub in hubs],
    }


def _hub(hub: HubStatus) -> dict[str, Any]:
    return {
        "name": hub.name,
        "waiting": dict(hub.waiting),
        "workers": [_worker(worker) for worker in hub.workers],
        "troubles": [
            {"targetId": trouble.target_id, "text": trouble.text, "at": _text(trouble.at)}
            for trouble in hub.troubles
        ],
        "backgroundTasks": [task.to_dict() for task in hub.tasks],
        "setAside": [
            {
                "what": row.what,
                "key": row.key,
                "targetId": row.target_id,
                "why": row.why,
                "dueAt": _text(due(row)),
            }
            for row in hub.set_aside
        ],
        "disk": {"works": not hub.disk_problem, "problem": hub.disk_problem},
    }


def _worker(worker: Worker) -> dict[str, Any]:
    return {
        "number": worker.number,
        "name": worker.name,
        "state": worker.state,
        "connectedAt": _text(worker.connected_at),
        "answeredAt": _text(worker.answered_at),
        "held": dict(worker.held),
        "takesBytes": worker.takes_bytes,
    }


def due(row: SetAside) -> datetime | None:
    """Return when a row that is set aside would have been due; None if it says no such time."""
    if row.due_at is None or not 0 <= row.due_at <= _LATEST:
        return None
    return datetime.fromtimestamp(row.due_at // _SECOND, UTC)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class WorkerRow:
    """A worker as the page shows it."""

    number: int
    name: str
    state: str
    connected: datetime | None
    answered: datetime | None
    held: Mapping[str, int]
    takes: str


def worker_row(worker: Worker) -> WorkerRow:
    """Return the row of one worker."""
    takes = "" if worker.takes_bytes is None else f"{worker.takes_bytes / 2**20:g} MiB"
    return WorkerRow(
        worker.number,
        worker.name,
        worker.state,
        worker.connected_at,
        worker.answered_at,
        worker.held,
        takes,
    )
