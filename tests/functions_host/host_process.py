"""Starts a scheduler and a Functions host, each in a process of its own, on free ports."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.azurite import Azurite

ROOT = Path(__file__).parents[2]
APPS = Path(__file__).parents[1] / "apps"
WEBHOOK = "/runtime/webhooks/durabletask"


class Part:
    """A process that runs one part of the runtime."""

    def __init__(self, name: str, settings: dict[str, Any], environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("run_part.py")), name,
             json.dumps(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ}, cwd="/",
        )  # fmt: skip
        self.log = ""
        self._log_grew = threading.Condition()
        self._reader = threading.Thread(target=self._read_log)
        self._reader.start()

    def facts(self) -> dict[str, Any]:
        """Wait until the part is ready; what it then says of itself."""
        line = self.process.stdout.readline()
        assert line, f"did not start: {self.end()}"
        return json.loads(line)

    def wait_for_log(self, text: str) -> None:
        with self._log_grew:
            assert self._log_grew.wait_for(lambda: text in self.log, timeout=20), self.log

    def end(self) -> str:
        """Ask the part to stop, and wait; its log."""
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # it says where it hangs
            self._reader.join()
            raise AssertionError(f"did not stop: {self.log}") from None
        finally:
            self._reader.join()
            self.process.stdout.close()
            self.process.stderr.close()
        return self.log

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def _read_log(self) -> None:
        for line in self.process.stderr:
            with self._log_grew:
                self.log += line
                self._log_grew.notify_all()


@contextlib.contextmanager
def running(name: str, environ: dict[str, str] | None = None, **settings: Any) -> Iterator[Part]:
    with tempfile.TemporaryDirectory() as data:
        if name == "host":
            settings.setdefault("data_dir", data)
        part = Part(name, settings, environ or {})
        try:
            yield part
        finally:
            if part.process.stdout.closed is False:
                part.end()


@contextlib.contextmanager
def running_host(
    app_dir: Path, scheduler: str, environ: dict[str, str] | None = None, **more: Any
) -> Iterator[tuple[Part, httpx.Client]]:
    settings = {"app_dir": str(app_dir), "scheduler": scheduler, "port": 0, "task_hub": "", **more}
    with running("host", environ, **settings) as part:
        port = part.facts()["port"]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=90) as http:
            yield part, http


def storage(azurite: Azurite, hub: str, **more: str) -> dict[str, str]:
    """The settings of the app of queue and blob triggers."""
    connections = dict.fromkeys(("AzureWebJobsStorage", "OTHER_STORAGE"), azurite.connection_string)
    return {**connections, "SUFFIX": "x", "HUB": hub, **more}


def finished(host: httpx.Client, started: dict[str, str]) -> dict[str, Any]:
    """Poll the status URL until the instance has ended."""
    reply = host.get(started["statusQueryGetUri"])
    while reply.status_code == 202:
        reply = host.get(started["statusQueryGetUri"])
    return reply.json()
