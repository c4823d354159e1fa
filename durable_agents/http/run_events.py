"""What happens in a run, as events: read from its recorded history. Pure.

An event's id is its place in the history. A history only grows, so an id means the same to every
listener, at any time, until the run is purged; listening changes nothing.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from durabletask import history

from durable_agents.errors import AgentCancelled
from durable_agents.failure_text import FAULT, from_details
from durable_agents.people import ENTITY_NAME, TOOL_RESULT

_COMPLETED, _TERMINATED = 1, 5


@dataclass(frozen=True)
class RunEvent:
    """One event.

    Attributes:
        id: Its place in the history, from 1.
        name: `turn.started`, `turn.finished`, `turn.failed`, `tool.called`, `tool.result`,
            `tool.failed`, `approval.wanted`, `approval.answered`, `approval.expired`,
            `approval.withdrawn` or `finished`.
        data: What there is to tell, as JSON data.
    """

    id: int
    name: str
    data: dict[str, Any]

    def as_text(self) -> str:
        """Return it as a server-sent event."""
        return f"id: {self.id}\nevent: {self.name}\ndata: {json.dumps(self.data)}\n\n"


class RunHistory:
    """Reads a run's history from the beginning."""

    def __init__(self) -> None:
        self._begun: dict[int, tuple[str, dict[str, Any]]] = {}
        self._attempts: dict[str, int] = {}
        self._asked: set[str] = set()
        self._settled: set[str] = set()

    def events(self, recorded: Iterable[history.HistoryEvent]) -> list[RunEvent]:
        """Return all that a listener is told of."""
        found: list[RunEvent] = []
        for place, event in enumerate(recorded, 1):
            told = self._told(event)
            if told is not None:
                found.append(RunEvent(place, *told))
        return found

    def _told(self, event: history.HistoryEvent) -> tuple[str, dict[str, Any]] | None:
        match event:
            case history.TaskScheduledEvent():
                return self._began(event.event_id, event.name, _object(event.input))
            case history.SubOrchestrationInstanceCreatedEvent():
                about = {"tool": event.name.removeprefix("run-"), "instance_id": event.instance_id}
                return self._begin(event.event_id, "tool", about)
            case history.TaskCompletedEvent() | history.SubOrchestrationInstanceCompletedEvent():
                return self._ended(event.task_scheduled_id, _object(event.result))
            case history.TaskFailedEvent() | history.SubOrchestrationInstanceFailedEvent():
                return self._failed(event.task_scheduled_id, event.failure_details)
            case history.EntityOperationCalledEvent():
                return self._asks(event)
            case history.EntityOperationCompletedEvent() if event.request_id in self._asked:
                return self._settles(_object(event.output))
            case history.ExecutionCompletedEvent():
                return _finished(event)
            case _:
                return None

    def _began(self, id: int, name: str, given: dict[str, Any]) -> tuple[str, Any] | None:
        if "call_id" in given:
            arguments = given.get("arguments", "{}")
            about = {"tool": name, "call_id": given["call_id"], "arguments": arguments}
            attempt = int(given.get("attempt", 1))
            return self._begin(id, "tool", about | ({"attempt": attempt} if attempt > 1 else {}))
        if name.startswith("BuiltIn__") or "instance" not in given:
            return None
        # What is asked again after a failure is announced as such, and never glued on.
        attempt = self._attempts.get(name, 0) + 1
        self._attempts[name] = attempt
        return self._begin(
            id, "turn", {"agent": name} | ({"attempt": attempt} if attempt > 1 else {})
        )

    def _begin(self, id: int, kind: str, about: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        self._begun[id] = (kind, about)
        return ("turn.started" if kind == "turn" else "tool.called"), about

    def _ended(self, id: int, result: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        if id not in self._begun:
            return None
        kind, about = self._begun.pop(id)
        if kind == "turn":
            self._attempts.pop(about["agent"], None)
            verdict = cast("dict[str, Any]", result.get("verdict") or {})
            told: dict[str, Any] = {
                "agent": about["agent"],
                "text": result.get("text", ""),
                "usage": result.get("usage", {}),
            }
            if verdict.get("problem"):
                told["problem"] = verdict["problem"]
            return "turn.finished", told
        told = {key: about[key] for key in ("tool", "call_id", "instance_id") if key in about}
        if result.get("later"):
            return "tool.waiting", told
        told |= {"text": result.get("text", ""), "is_error": bool(result.get("is_error"))}
        return "tool.result", told

    def _asks(self, event: history.EntityOperationCalledEvent) -> tuple[str, Any] | None:
        """An operation of a request to a person; its opening is told."""
        if not (event.target_instance_id or "").startswith(f"@{ENTITY_NAME}@"):
            return None
        self._asked.add(event.request_id)
        if event.operation != "open":
            return None
        opening = _object(event.input)
        request = cast("dict[str, Any]", opening.get("request") or {})
        if request.get("kind") == TOOL_RESULT:
            return None  # nobody is asked
        return "approval.wanted", {
            "instance_id": opening.get("instance", ""),
            "request_id": request.get("id", ""),
            "question": request.get("question", ""),
            "deadline": opening.get("deadline") or None,
        }

    def _settles(self, state: dict[str, Any]) -> tuple[str, Any] | None:
        """What the request says of itself: how it ended is told once."""
        request = cast("dict[str, Any]", state.get("request") or {})
        status, id = state.get("status"), str(request.get("id", ""))
        if status not in ("answered", "expired", "withdrawn") or id in self._settled:
            return None
        self._settled.add(id)
        if request.get("kind") == TOOL_RESULT:
            return _brought(request, state)
        told: dict[str, Any] = {"instance_id": state.get("instance", ""), "request_id": id}
        if status == "answered":
            told |= {"answer": state.get("answer", ""), "by": state.get("answered_by")}
        return f"approval.{status}", told

    def _failed(self, id: int, details: Any) -> tuple[str, dict[str, Any]] | None:
        if id not in self._begun:
            return None
        kind, about = self._begun.pop(id)
        return f"{kind}.failed", {**about, **_error(details)}


def _brought(request: dict[str, Any], state: dict[str, Any]) -> tuple[str, Any] | None:
    """The result of a tool that somebody brought, or nobody in time."""
    details = _object(request.get("details"))
    about = {key: details.get(key, "") for key in ("tool", "call_id")}
    match state.get("status"):
        case "answered":
            brought = _object(state.get("answer"))
            text, is_error = brought.get("text", ""), bool(brought.get("failed"))
        case "expired":
            text, is_error = "no result in time", True
        case _:
            return None
    return "tool.result", {**about, "text": text, "is_error": is_error}


def _finished(event: history.ExecutionCompletedEvent) -> tuple[str, dict[str, Any]]:
    if event.orchestration_status == _COMPLETED:
        result = _object(event.result)
        return "finished", {
            "status": "success",
            "response": result.get("text", ""),
            "usage": result.get("usage", {}),
        }
    if event.orchestration_status == _TERMINATED:
        return "finished", {"status": "cancelled", "code": AgentCancelled.__name__}
    error = _error(event.failure_details)
    status = "cancelled" if error.get("code") == AgentCancelled.__name__ else "failed"
    return "finished", {"status": status, **error}


def _error(details: Any) -> dict[str, Any]:
    if details is None:
        return {}
    error = from_details(details, "", "")
    # The words of an exception that is none of the library's own may name anything.
    cause = "a fault in the app" if error.code == FAULT else error.cause
    return {"code": type(error).__name__, "cause": cause}


def _object(text: str | None) -> dict[str, Any]:
    try:
        given: object = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(given, dict):
        return {}
    fields = cast("dict[str, Any]", given)
    # As the Functions SDK stores an object of ours: with its class around it.
    inner = fields.get("__data__")
    return cast("dict[str, Any]", inner) if isinstance(inner, dict) else fields
