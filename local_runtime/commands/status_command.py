"""The command `status`: asks a running scheduler and a running host how they are."""

import http.client
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

_PATIENCE_SECONDS = 5.0
_MAX_BYTES = 16 * 1024 * 1024
_KEY_VARIABLE = "FUNCTIONS_KEY"


@dataclass(frozen=True)
class Answer:
    """What one part says of itself, or why it says nothing."""

    found: Mapping[str, Any] | None
    problem: str = ""


@dataclass(frozen=True)
class RuntimeStatus:
    """How the runtime is."""

    scheduler: Answer
    host: Answer

    @property
    def problems(self) -> list[str]:
        """What is broken, each in one line."""
        return [*self._problems()]

    def _problems(self) -> Iterator[str]:
        for answer in (self.scheduler, self.host):
            if answer.problem:
                yield answer.problem
        yield from (str(problem) for problem in (self.scheduler.found or {}).get("problems", ()))
        for task in host_tasks(self):
            if task.get("state") == "backing off":
                name, error = task.get("name"), task.get("lastError")
                yield f"the host: the background task {name!r} failed: {error}"

    def to_json(self) -> str:
        """Return all of it as JSON."""
        document = {
            "state": "broken" if self.problems else "ok",
            "problems": self.problems,
            "scheduler": self.scheduler.found,
            "host": self.host.found,
        }
        return json.dumps(document, indent=2, ensure_ascii=False)


def ask(dashboard_port: int, port: int) -> RuntimeStatus:
    """Ask the dashboard and the Functions host at these ports."""
    return RuntimeStatus(
        _ask("the scheduler's dashboard", dashboard_port, "/status", "--dashboard-port", "hubs"),
        _ask("the Functions host", port, "/admin/host/status", "--port", "state"),
    )


def host_tasks(status: RuntimeStatus) -> list[Mapping[str, Any]]:
    """Return the background tasks of the host, as far as it tells them."""
    return list((status.host.found or {}).get("backgroundTasks", ()))


def _ask(what: str, port: int, path: str, option: str, expected: str) -> Answer:
    # The address and not `localhost`, which may mean ::1 first, where nothing listens.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
    key = os.environ.get(_KEY_VARIABLE)
    headers = {"x-functions-key": key} if key and option == "--port" else {}
    try:
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        body = reply.read(_MAX_BYTES)
    except ConnectionRefusedError:
        return Answer(None, f"nothing runs on port {port}, where {what} would be ({option})")
    except (OSError, http.client.HTTPException) as error:
        return Answer(
            None, f"{what} on port {port} does not answer: {error or type(error).__name__}"
        )
    finally:
        connection.close()
    if reply.status in (401, 403):
        return Answer(
            None,
            f"{what} on port {port} asks for a key: give the master key in {_KEY_VARIABLE}",
        )
    document = _object(body) if reply.status == http.client.OK else None
    if document is None or expected not in document:
        return Answer(
            None, f"what answers on port {port} is not {what}, or not yet (status {reply.status})"
        )
    return Answer(document)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else None
