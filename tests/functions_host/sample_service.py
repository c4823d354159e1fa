"""Runs an app of samples as a person would, with the whole command line, and drives it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from host_process import APPS, WEBHOOK, finished

from tests.service import runtime

WORKERS = [1, 2]
"""How many host processes the samples run with."""


class Sample:
    """A running app of samples."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def start(self, name: str, payload: Any = None, instance_id: str = "") -> dict[str, str]:
        """Start an orchestration over the webhook; its check-status payload."""
        url = f"{WEBHOOK}/orchestrators/{name}/{instance_id}"
        reply = self.http.post(url, json=payload)
        assert reply.status_code == 202, reply.text
        return reply.json()

    def end(self, started: dict[str, str]) -> dict[str, Any]:
        """Wait for the end of what was started; its status."""
        return finished(self.http, started)

    def end_of(self, instance_id: str) -> dict[str, Any]:
        """Wait for an instance that others start, and for its end; its status."""
        url = f"{WEBHOOK}/instances/{instance_id}"
        while self.http.get(url).status_code == 404:
            pass
        return finished(self.http, {"statusQueryGetUri": url})

    def run(self, name: str, payload: Any = None) -> Any:
        """Run an orchestration to its end; its output."""
        status = finished(self.http, self.start(name, payload))
        assert status["runtimeStatus"] == "Completed", status
        return status["output"]

    def raise_event(self, started: dict[str, str], name: str, payload: Any) -> None:
        url = started["sendEventPostUri"].replace("{eventName}", name)
        assert self.http.post(url, json=payload).status_code == 202

    def status_once(self, started: dict[str, str], so: Callable[[dict], bool]) -> dict[str, Any]:
        """The status of an instance as soon as it is as wanted."""
        while not so(status := self.http.get(started["statusQueryGetUri"]).json()):
            assert status["runtimeStatus"] in ("Pending", "Running", "Suspended"), status
        return status


@contextmanager
def sample(
    app: str, data: Path, workers: int, settings: Mapping[str, str] | None = None
) -> Iterator[Sample]:
    options = () if workers == 1 else ("--workers", str(workers))
    # So that no stand-in for a model is started.
    env = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", **(settings or {})}
    with (
        runtime(data, APPS / app, env=env, options=options) as service,
        httpx.Client(base_url=service.url("Functions"), timeout=60) as http,
    ):
        yield Sample(http)
