"""The durable scheduler beside the SDK's in-memory backend: the same worker, the same work.

Run: python -m bench.scheduler [--runs 5] [--quick]
"""

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
from durabletask import client

ROOT = Path(__file__).parents[1]

type Measure = Callable[[client.AsyncTaskHubGrpcClient], Awaitable[float]]


@dataclass(frozen=True)
class Row:
    """One thing to measure; `more_is_better` for throughputs."""

    name: str
    unit: str
    measure: Measure
    more_is_better: bool = False


def one(name: str, given: object, times: int = 5) -> Measure:
    """The median time of one workflow, in milliseconds."""

    async def measure(hub: client.AsyncTaskHubGrpcClient) -> float:
        found: list[float] = []
        for _ in range(times):
            began = time.perf_counter()
            instance_id = await hub.schedule_new_orchestration(name, input=given)
            await hub.wait_for_orchestration_completion(instance_id, timeout=300)
            found.append((time.perf_counter() - began) * 1000)
        return statistics.median(found)

    return measure


def many(name: str, given: object, count: int) -> Measure:
    """Workflows per second when `count` are started at once."""

    async def measure(hub: client.AsyncTaskHubGrpcClient) -> float:
        began = time.perf_counter()
        ids = await asyncio.gather(
            *(hub.schedule_new_orchestration(name, input=given) for _ in range(count))
        )
        for instance_id in ids:
            await hub.wait_for_orchestration_completion(instance_id, timeout=300)
        return count / (time.perf_counter() - began)

    return measure


def per_step(length: int) -> Measure:
    """Milliseconds per step of one long chain."""

    async def measure(hub: client.AsyncTaskHubGrpcClient) -> float:
        return await one("chain", length, times=1)(hub) / length

    return measure


QUICK = [
    Row("step A, then 2 in parallel", "ms", one("fan_out", [2, 0], 9)),
    Row("step A, then 100 in parallel", "ms", one("fan_out", [100, 0])),
    Row("step A, then 1000 in parallel", "ms", one("fan_out", [1000, 0], 3)),
    Row("chain of 4", "ms", one("chain", 4, 9)),
    Row("200 workflows of 1 + 3", "workflows/s", many("fan_out", [3, 0], 200), True),
    Row("200 chains of 4", "workflows/s", many("chain", 4, 200), True),
]
WHOLE = [
    *QUICK,
    Row("200 ms steps, 2 in parallel", "x ideal", one("fan_out", [2, 200], 3)),
    Row("200 ms steps, 100 in parallel", "x ideal", one("fan_out", [100, 200], 3)),
    Row("chain of 100, per step", "ms", per_step(100)),
    Row("chain of 500, per step", "ms", per_step(500)),
    Row("chain of 1000, per step", "ms", per_step(1000)),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


async def spawn(*module: str) -> asyncio.subprocess.Process:
    """Start a module in a process of its own, silently."""
    return await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", *module],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, "LOCAL_RUNTIME_LOG_LEVEL": "WARNING"},
    )


@contextlib.asynccontextmanager
async def backend(name: str, folder: Path) -> AsyncIterator[client.AsyncTaskHubGrpcClient]:
    """Run a backend and its worker, each in a process of its own; gives a client."""
    port = free_port()
    address = f"localhost:{port}"
    durable = ["local_runtime", "scheduler", "--no-dashboard", "--grpc-port", str(port), "--data"]
    commands = {
        "memory": ["bench.memory_backend", str(port)],
        "durable": [*durable, str(folder / str(port))],
    }
    server = await spawn(*commands[name])
    async with grpc.aio.insecure_channel(address) as channel:
        await asyncio.wait_for(channel.channel_ready(), 30)
    worker = await spawn("bench.plain_worker", address)
    hub = client.AsyncTaskHubGrpcClient(host_address=address)
    try:
        await one("fan_out", [2, 0], 3)(hub)  # warm
        yield hub
    finally:
        await hub.close()
        for process in (worker, server):
            process.kill()
            await process.wait()


async def main(rows: list[Row], runs: int) -> None:
    with tempfile.TemporaryDirectory(dir=ROOT / ".local") as folder:
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(runs):
            for name in ("durable", "memory"):
                async with backend(name, Path(folder)) as hub:
                    for row in rows:
                        found.setdefault((row.name, name), []).append(await row.measure(hub))
    print(f"| {'row':<32} | durable | in memory | durable is |")
    print(f"|{'-' * 34}|--------:|----------:|-----------:|")
    for row in rows:
        durable = statistics.median(found[row.name, "durable"])
        memory = statistics.median(found[row.name, "memory"])
        ratio = durable / memory if row.more_is_better else memory / durable
        unit = row.unit
        if unit == "x ideal":
            durable, memory = durable / 400, memory / 400
        print(f"| {row.name + ', ' + unit:<45} | {durable:9.2f} | {memory:9.2f} | {ratio:6.2f} x |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    import logging

    logging.disable(logging.CRITICAL)
    (ROOT / ".local").mkdir(exist_ok=True)
    asyncio.run(main(QUICK if options.quick else WHOLE, options.runs))
