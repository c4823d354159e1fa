"""A real Functions host in the soak: killed and stopped as the others, and started at in bursts."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.plain_http import request
from tests.ports import free_port
from tests.soak.ledger import Instance, Ledger
from tests.soak.processes import ROOT, Part, Toll

HUB = "hosted"
_APP = ROOT / "tests" / "apps" / "ledgered"
_WEBHOOK = "/runtime/webhooks/durabletask"
_STEPS = 2
_PATIENCE = 30.0  # seconds for a reply
_WAIT_SECONDS = 2  # how long a start waits for the output


class Host(Part):
    """The host, with its supervisor, always on the same port."""

    def __init__(self, scheduler: str, folder: Path, toll: Toll) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = ["local_runtime", "host", "--app", str(_APP), "--port", str(port)]
        command += ["--scheduler", f"http://{scheduler}", "--task-hub", HUB]
        command += ["--data", str(folder / "host-data")]
        super().__init__("host", command, folder, toll)
        self._settings = {"EXECUTIONS": str(folder / "executions-host")}

    def send(self, number: signal.Signals) -> None:
        """Send the process and its children a signal, but leave it to them to stop in order."""
        assert self._process is not None
        pids = [self._process.pid]
        pids += self._children(pids[0]) if number is not signal.SIGTERM else []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        assert self._process is not None
        pids = list(self._children(self._process.pid))
        code = await super().end(number)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                while True:
                    os.kill(pid, 0)  # it may hold the port until it has ended
                    await asyncio.sleep(0.01)
        return code

    @staticmethod
    def _children(of: int) -> Iterator[int]:
        ps = ["ps", "-A", "-o", "pid=,ppid="]
        table = subprocess.run(ps, check=True, capture_output=True, text=True).stdout
        for line in table.splitlines():
            pid, parent = map(int, line.split())
            if parent == of:
                yield pid

    async def die_over_and_over(
        self, chance: random.Random, over: asyncio.Event, every: float
    ) -> None:
        # It takes longer to start than the others, and shall get something done in between.
        await self.meet_over_and_over(chance, over, 2 * every, "host")


class Bursts:
    """Starts many instances at once at the host, and knows what must come of them."""

    def __init__(self, host: Host, ledger: Ledger) -> None:
        self._url = f"{host.url}{_WEBHOOK}"
        self._chance = random.Random(host.name)
        self._counts = ledger.counts
        self.ledger = Ledger()
        self._number = 0

    async def run(self, sizes: dict[float, int], over: asyncio.Event) -> None:
        """Start as many at once as the dictionary says, so many seconds from now."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as starting:
            for at, size in sorted(sizes.items()):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), max(0.0, began + at - loop.time()))
                if over.is_set():
                    return
                self._counts["bursts"] += 1
                for _ in range(size):
                    self._number += 1
                    starting.create_task(self._start(f"burst-{self._number:06d}"))

    async def _start(self, instance_id: str) -> None:
        """Start one, again until it has been taken: a lost answer does not tell."""
        output = list(range(1, _STEPS + 1))
        self.ledger.add(Instance(instance_id, "chain", output=output))
        path = f"{self._url}/orchestrators/chain/{instance_id}?timeout={_WAIT_SECONDS}"
        while True:
            with contextlib.suppress(OSError):
                reply = await request("POST", path, _STEPS, patience=_PATIENCE)
                self._counts[f"burst answered {reply.status}"] += 1
                if reply.status in (200, 202, 409):
                    break
                if reply.status < 500:
                    self.ledger.faults.append(f"{instance_id}: {reply.status} {reply.body!r}")
                    break
            await self._pause()
            if await self._is_there(instance_id):
                break
        self._counts["started in bursts"] += 1

    async def _is_there(self, instance_id: str) -> bool:
        """Whether it was started all the same; to start a finished one again would replace it."""
        while True:
            with contextlib.suppress(OSError):
                reply = await request(
                    "GET", f"{self._url}/instances/{instance_id}", patience=_PATIENCE
                )
                if reply.status < 500:
                    return reply.status != 404
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.5, 3))
