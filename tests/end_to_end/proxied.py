"""A scheduler and a Functions host, each started as a person would, with proxies between them."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
from durabletask import history

from local_runtime.scheduler.storage import history as stored
from tests.ports import free_port
from tests.proxy import TcpProxy
from tests.rpc_proxy import RpcProxy
from tests.scheduler.audit import faults as file_faults
from tests.soak.executions import Record, Trouble, Verdict, judge, now, read, records

ROOT = Path(__file__).parents[2]
APP = ROOT / "tests" / "apps" / "ledgered"
WEBHOOK = "/runtime/webhooks/durabletask"
TAKEN = 409


class Process:
    """A command of the runtime that is killed, stopped and started again."""

    def __init__(self, log: Path, *arguments: object) -> None:
        self.log = log
        self._arguments = [*map(str, arguments)]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, **settings: str) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-m", "local_runtime", *self._arguments],
                env={**os.environ, **settings},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def pids(self) -> list[int]:
        """The process and its children: a host is a supervisor and the processes of its work."""
        assert self._process is not None
        return [self._process.pid, *self.children()]

    def children(self) -> dict[int, str]:
        """The process ids of its children, with the command of each."""
        assert self._process is not None
        ps = ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="]
        table = subprocess.run(ps, check=True, capture_output=True, text=True).stdout
        rows = [line.split(maxsplit=2) for line in table.splitlines()]
        return {int(row[0]): row[2] for row in rows if int(row[1]) == self._process.pid}

    def send(self, number: signal.Signals) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            pids = self.pids()
            self.send(signal.SIGKILL)
            await self._process.wait()
            await gone(pids)


async def gone(pids: Iterable[int]) -> None:
    """Wait until processes that were killed, and are nobody's children, have ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                await asyncio.sleep(0.01)  # nobody tells of the end of another's child


class World:
    """What a test breaks, and what it knows of the troubles it made."""

    def __init__(
        self,
        folder: Path,
        tcp: TcpProxy,
        rpc: RpcProxy,
        settings: dict[str, str],
        *options: object,
        directly: bool,
    ) -> None:
        self.tcp, self.rpc = tcp, rpc
        self.executions = folder / "executions"
        self.file = folder / "data" / "default.taskhub.db"
        self.settings = {**settings, "EXECUTIONS": str(self.executions)}
        self.troubles: list[Trouble] = []
        port, self.http_port = int(rpc.target.partition(":")[2]), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.scheduler = Process(
            *[folder / "scheduler.log", "scheduler", "--no-dashboard", "--grpc-port", port],
            *["--data", self.file.parent],
        )
        self.host = Process(
            *[folder / "host.log", "host", "--app", APP, "--port", self.http_port],
            *["--data", folder / "host-data", "--scheduler"],
            *[f"http://{rpc.target if directly else tcp.address}", *options],
        )
        self.http = httpx.AsyncClient(base_url=self.url, timeout=60)

    @classmethod
    @contextlib.asynccontextmanager
    async def create(
        cls, folder: Path, *options: object, directly: bool = False, **settings: str
    ) -> AsyncIterator["World"]:
        """Run both; the host reaches the scheduler through the one proxy and then the other."""
        rpc = RpcProxy(f"127.0.0.1:{free_port()}")
        async with TcpProxy.before(rpc.address) as tcp:
            world = cls(folder, tcp, rpc, settings, *options, directly=directly)
            try:
                await world.scheduler.start()
                async with rpc.serving(), world.http:
                    await world.host.start(**world.settings)
                    await world.is_serving()
                    yield world
            finally:
                await world.host.kill()
                await world.scheduler.kill()

    async def is_serving(self) -> None:
        """Wait until the host answers."""
        async with asyncio.timeout(40):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await self.http.get("/", timeout=5)).status_code == 200:
                        return
                await asyncio.sleep(0.05)  # nothing listens yet, and nobody says when it does

    @contextlib.contextmanager
    def trouble(self, what: str, who: str = "") -> Any:
        """Note that something is wrong from here until the end, and a moment after it."""
        began = now()
        try:
            yield
        finally:
            self.troubles.append(Trouble(what, began, now() + 5.0, who))

    async def kill_host(self) -> None:
        with self.trouble("host killed"):
            await self.host.kill()
            await self.host.start(**self.settings)

    async def kill_scheduler(self) -> None:
        with self.trouble("scheduler killed"):
            await self.scheduler.kill()
            await self.scheduler.start()

    async def stop(self, process: Process, seconds: float) -> None:
        """Stop a process for a while: nothing tells of the moment when others give it up."""
        what = "scheduler stopped" if process is self.scheduler else "host stopped"
        with self.trouble(what):
            process.send(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            process.send(signal.SIGCONT)

    async def start(self, instance_id: str, steps: int) -> None:
        """Start an instance, again where it was not taken."""
        path = f"{WEBHOOK}/orchestrators/chain/{instance_id}"
        while True:
            with contextlib.suppress(httpx.HTTPError):
                reply = await self.http.post(path, json=steps)
                if reply.status_code in (202, TAKEN):
                    return
                assert reply.status_code >= 500, reply.text
            if await self.is_there(instance_id):
                return

    async def is_there(self, instance_id: str) -> bool:
        """Whether an instance was started, though the answer was lost.

        To start a finished one again would replace it.
        """
        while True:
            with contextlib.suppress(httpx.HTTPError):
                reply = await self.http.get(f"{WEBHOOK}/instances/{instance_id}")
                if reply.status_code < 500:
                    return reply.status_code != 404
            await asyncio.sleep(0.1)  # the host or the scheduler is not back yet

    async def output(self, instance_id: str) -> object:
        """Wait for the end of an instance; its output."""
        while True:
            with contextlib.suppress(httpx.HTTPError):
                reply = await self.http.get(f"{WEBHOOK}/instances/{instance_id}")
                assert reply.status_code != 404, f"{instance_id} is lost"
                if reply.status_code == 200:
                    assert reply.json()["runtimeStatus"] == "Completed", reply.text
                    return reply.json()["output"]
            await asyncio.sleep(0.1)  # it is polled, as clients of the webhook do

    async def outputs(self, ids: Iterable[str], patience: float) -> dict[str, object]:
        """Wait for the ends of instances; those that hang are said by name."""
        waiting = {one: asyncio.create_task(self.output(one)) for one in ids}
        if waiting:
            await asyncio.wait(waiting.values(), timeout=patience)
        hung = [one for one, task in waiting.items() if not task.done()]
        for task in waiting.values():
            task.cancel()
        assert not hung, f"{len(hung)} hang, such as {hung[:5]}"
        return {one: task.result() for one, task in waiting.items()}

    def verdict(self, ids: Iterable[str]) -> Verdict:
        """Hold the runs of all activities against what is recorded of them."""
        known: dict[str, Record] = {}
        with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as file:
            for one in ids:
                events = [e for turn in stored.read_turns(file, one) for e in turn]
                known |= records(one, [history._from_protobuf(event) for event in events])
        found = judge(read(self.executions), known, self.troubles)
        found.faults += file_faults(self.file)
        return found
