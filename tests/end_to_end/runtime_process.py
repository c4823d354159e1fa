"""The whole runtime as a person starts it, in processes that a test can kill."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.client import SchedulerClient
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
WEBHOOK = "/runtime/webhooks/durabletask"
MODEL_SETTINGS = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "OPENAI_MODEL")


class Runtime:
    """`python -m local_runtime start` on ports and a data folder that outlive its processes."""

    def __init__(
        self,
        data: Path,
        settings: dict[str, str],
        app: Path = ROOT,
        options: tuple[str, ...] = (),
    ) -> None:
        self.data = data
        self.app = app
        self._options = options
        self.http_port, self.grpc_port, self.dashboard_port = (free_port() for _ in range(3))
        self.base_url = f"http://127.0.0.1:{self.http_port}"
        self._environment = {
            **{name: value for name, value in os.environ.items() if name not in MODEL_SETTINGS},
            **settings,
        }
        self._process: asyncio.subprocess.Process | None = None
        self._log = (data.parent / "runtime.log").open("ab")

    async def start(self) -> None:
        """Start it and wait until its banner says that it runs."""
        self._process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "local_runtime", "start", "--data", str(self.data)],
            *["--app", str(self.app)],
            *["--port", str(self.http_port), "--scheduler-port", str(self.grpc_port)],
            *["--dashboard-port", str(self.dashboard_port), *self._options],
            env=self._environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            while line := await self._process.stdout.readline():
                if b"Stop with Ctrl-C" in line:
                    return
        raise AssertionError(f"did not start: {self.log_text()}")

    def log_text(self) -> str:
        return Path(self._log.name).read_text()

    def children(self) -> list[tuple[int, str]]:
        """The running parts: process ids and command lines."""
        assert self._process is not None
        listing = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        rows = [line.split(maxsplit=2) for line in listing.splitlines()]
        return [(int(row[0]), row[2]) for row in rows if int(row[1]) == self._process.pid]

    async def kill_everything(self) -> None:
        """SIGKILL to the supervisor and all its children."""
        assert self._process is not None
        for pid in [self._process.pid, *(pid for pid, _ in self.children())]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self._process.wait()

    def pids(self, part: str) -> list[int]:
        """The processes of one part: `scheduler` or `host`."""
        word = {"host": "host-process"}.get(part, part)
        return [pid for pid, command in self.children() if f" {word} " in command]

    def kill(self, part: str) -> None:
        """SIGKILL to one part, which is there; the supervisor starts it again."""
        pids = self.pids(part)
        assert pids, f"no process is the {part}"
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM to the supervisor; its exit status."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        status = await self._process.wait()
        self._log.close()
        return status

    async def wait(self, instance_id: str) -> pb.OrchestrationState:
        """Wait for the end of an instance, through every loss of the scheduler."""
        address = f"127.0.0.1:{self.grpc_port}"
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        async with SchedulerClient.open(address, "default") as client:
            while True:
                with contextlib.suppress(grpc.RpcError):
                    response = await client.stub.WaitForInstanceCompletion(
                        request, metadata=client.metadata, wait_for_ready=True
                    )
                    assert response.exists, f"{instance_id} is lost"
                    return response.orchestrationState

    async def post(self, path: str, body: object) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.base_url, timeout=60) as http:
            return await http.post(f"{WEBHOOK}{path}", json=body)


@contextlib.asynccontextmanager
async def running(data: Path, app: Path = ROOT, **settings: str) -> AsyncIterator[Runtime]:
    runtime = Runtime(data, settings, app)
    try:
        await runtime.start()
        yield runtime
    finally:
        await runtime.stop()
