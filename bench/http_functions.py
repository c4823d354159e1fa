"""An HTTP function through the Functions host beside plain Starlette on uvicorn doing the same.

Each side is a server process of its own; this process is the client of both, over kept connections,
in rounds that alternate. Prints a Markdown table: requests/s of each side, how many of Starlette's
requests/s the host reaches, what the host adds to the time of one request, and the processor time
that each side takes for a request, which other programs on the machine disturb less.

Run: python -m bench.http_functions [--runs 7] [--seconds 2]
"""

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bench.processes import ROOT, cpu_seconds, end, free_port, spawn
from bench.table import written

_BODY = b'{"numbers": [1, 2, 3, 4, 5, 6, 7, 8]}'
_PATIENCE = 60  # seconds a server may take to answer for the first time


@dataclass(frozen=True)
class Load:
    """Requests to one path over so many connections at once."""

    name: str
    path: str
    connections: int


_LOADS = (
    Load("async function, 1 connection", "/api/add", 1),
    Load("async function, 16 connections", "/api/add", 16),
    Load("function in a thread, 1 connection", "/api/add_in_thread", 1),
    Load("function in a thread, 16 connections", "/api/add_in_thread", 16),
)


class _Client(asyncio.Protocol):
    """One kept connection that asks again as soon as it has its answer."""

    def __init__(self, request: bytes, until: float) -> None:
        self._request = request
        self._until = until
        self._reply = b""
        self._length = 0
        self.answers = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._reply += data
        head, blank_line, body = self._reply.partition(b"\r\n\r\n")
        if not blank_line:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._fail(f"a server answered {head[:60]!r}")
        elif body == b'{"sum":36}' or body == b'{"sum": 36}':
            self._reply = b""
            self.answers += 1
            if time.perf_counter() < self._until:
                self._transport.write(self._request)
            else:
                self._transport.close()
                self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("a server closed the connection")

    def _fail(self, message: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(message))
            self._transport.close()


async def rate(port: int, load: Load, seconds: float) -> float:
    """Requests/s of one server."""
    head = (
        f"POST {load.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: */*\r\nUser-Agent: bench\r\nContent-Length: {len(_BODY)}\r\n\r\n"
    )
    request = head.encode() + _BODY
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    opening = [
        loop.create_connection(lambda: _Client(request, began + seconds), "127.0.0.1", port)
        for _ in range(load.connections)
    ]
    clients = [client for _, client in await asyncio.gather(*opening)]
    await asyncio.gather(*(client.done for client in clients))
    return sum(client.answers for client in clients) / (time.perf_counter() - began)


@dataclass(frozen=True)
class Side:
    """A server that is measured: its port, and its first process."""

    port: int
    pid: int


@contextlib.asynccontextmanager
async def starlette_side() -> AsyncIterator[Side]:
    """The plain server."""
    port = free_port()
    process = await spawn("bench.plain_web", str(port))
    try:
        yield Side(port, process.pid)
    finally:
        await end(process)


@contextlib.asynccontextmanager
async def host_side(folder: str) -> AsyncIterator[Side]:
    """A Functions host; its scheduler has nothing to do."""
    port, grpc_port = free_port(), free_port()
    scheduler = await spawn(
        "local_runtime", "scheduler", "--grpc-port", str(grpc_port), "--dashboard-port", "0",
        "--data", folder,
    )  # fmt: skip
    host = await spawn(
        "local_runtime", "host", "--app", str(ROOT / "bench" / "http_app"), "--port", str(port),
        "--scheduler", f"http://127.0.0.1:{grpc_port}", "--data", folder,
    )  # fmt: skip
    try:
        yield Side(port, host.pid)
    finally:
        # Not killed: its own processes are to end with it.
        host.terminate()
        await host.wait()
        await end(scheduler)


async def ready(port: int) -> None:
    """Wait until a server answers as it should."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                await rate(port, _LOADS[0], 0.5)
            except (OSError, RuntimeError):
                await asyncio.sleep(0.05)
            else:
                return


@dataclass(frozen=True)
class Round:
    """What one round of one side was like."""

    rate: float
    cpu: float
    """Processor time for a request, in seconds."""


async def measured(side: Side, load: Load, seconds: float) -> Round:
    """Let one side answer for a while."""
    before, began = cpu_seconds(side.pid) or 0.0, time.perf_counter()
    found = await rate(side.port, load, seconds)
    answers = found * (time.perf_counter() - began)
    return Round(found, ((cpu_seconds(side.pid) or 0.0) - before) / answers)


async def main(runs: int, seconds: float) -> None:
    rounds: dict[tuple[Load, str], list[Round]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with starlette_side() as plain, host_side(folder) as host:
            sides = {"host": host, "starlette": plain}
            await asyncio.gather(*(ready(side.port) for side in sides.values()))
            for run in range(runs):
                for load in _LOADS:
                    for name in sides if run % 2 == 0 else reversed(sides):
                        found = await measured(sides[name], load, seconds)
                        rounds.setdefault((load, name), []).append(found)
    print(
        "| row | host, requests/s | starlette, requests/s | host reaches | host adds, ms "
        "| host, processor us | starlette, processor us |"
    )
    print("|---|" + "---:|" * 6)
    for load in _LOADS:
        print(row(load, rounds[load, "host"], rounds[load, "starlette"]))


def row(load: Load, ours: list[Round], theirs: list[Round]) -> str:
    """One line of the table: medians, of ratios and differences within each run."""
    pairs = list(zip(ours, theirs, strict=True))
    ratio = statistics.median(a.rate / b.rate for a, b in pairs)
    added = statistics.median(1000 * load.connections * (1 / a.rate - 1 / b.rate) for a, b in pairs)
    rates = [written(statistics.median(found.rate for found in side)) for side in (ours, theirs)]
    cpus = [statistics.median(1e6 * found.cpu for found in side) for side in (ours, theirs)]
    cells = [load.name, *rates, f"{ratio:.2f}", f"{added:.2f}", *(f"{cpu:.0f}" for cpu in cpus)]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7, help="medians of so many runs")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each round asks")
    options = parser.parse_args()
    asyncio.run(main(options.runs, options.seconds))
