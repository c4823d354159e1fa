"""Two processes of the Functions host beside one: computing activities, start-up, memory.

Prints a Markdown table of medians. Memory is the share of each process (PSS), before any work.

Run: python -m bench.host_workers [--runs 5]
"""

import argparse
import asyncio
import contextlib
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from durabletask import client

from bench.hub import completed
from bench.loads import Figures
from bench.processes import ROOT, children, end, free_port, proportional_mib, spawn
from bench.table import written

APP = ROOT / "bench" / "app"
COUNTS = (1, 2)
WIDTH = 40
STEP_SECONDS = 0.05
READY = b"functions at"


async def main(runs: int) -> None:
    (ROOT / ".local").mkdir(exist_ok=True)
    rounds = rounds_of(STEP_SECONDS)
    found: dict[int, list[Figures]] = {count: [] for count in COUNTS}
    with tempfile.TemporaryDirectory(dir=ROOT / ".local") as folder:
        async with scheduler(Path(folder)) as address:
            for run in range(runs):
                for count in COUNTS if run % 2 == 0 else reversed(COUNTS):
                    print(f"run {run + 1} of {runs}, {count} worker(s)", file=sys.stderr)
                    found[count].append(await measured(address, count, rounds))
    print_table(found)


async def measured(address: str, count: int, rounds: int) -> Figures:
    """The figures of one host with so many processes."""
    async with host(address, count) as (figures, tasks):
        await timed(tasks, 2 * count, rounds)  # whatever is only done once
        return {**figures, "work": await timed(tasks, WIDTH, rounds)}


async def timed(tasks: client.AsyncTaskHubGrpcClient, width: int, rounds: int) -> float:
    """How long so many computations take, from the first call to the last answer."""
    began = time.perf_counter()
    instance = await tasks.schedule_new_orchestration("compute", input=[width, rounds])
    await completed(tasks, instance)
    return time.perf_counter() - began


@contextlib.asynccontextmanager
async def scheduler(folder: Path) -> AsyncIterator[str]:
    """A durable scheduler, and its address."""
    port = free_port()
    options = ["--no-dashboard", "--grpc-port", str(port), "--data", str(folder)]
    process = await spawn("local_runtime", "scheduler", *options)
    try:
        async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
            await asyncio.wait_for(channel.channel_ready(), 30)
        yield f"localhost:{port}"
    finally:
        await end(process)


@contextlib.asynccontextmanager
async def host(
    address: str, count: int
) -> AsyncIterator[tuple[Figures, client.AsyncTaskHubGrpcClient]]:
    """A host with so many processes: how long it took to be ready, its memory, and a client."""
    options = ["--app", str(APP), "--port", "0", "--scheduler", address, "--workers", str(count)]
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "local_runtime", "host", *options],
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "LOCAL_RUNTIME_LOG_LEVEL": "INFO"},
    )
    assert process.stderr is not None
    while READY not in (line := await process.stderr.readline()):
        if not line:
            raise RuntimeError("the host did not start")
    figures = {"ready": time.perf_counter() - began, **memory(process.pid)}
    reading = asyncio.create_task(process.stderr.read())
    tasks = client.AsyncTaskHubGrpcClient(host_address=address)
    try:
        yield figures, tasks
    finally:
        await tasks.close()
        process.terminate()  # in its orderly way: none of its processes may meet the next host
        await process.wait()
        await reading


def memory(pid: int) -> Figures:
    """What each of the host's processes takes."""
    found: Figures = {}
    names = ("keeper", "first", "worker")
    for name, process in zip(names, (pid, *children(pid)), strict=False):
        if (mib := proportional_mib(process)) is not None:
            found[name] = mib
    return found


def rounds_of(seconds: float) -> int:
    """How many rounds of the computation take so long here."""
    tried = 100_000
    best = float("inf")
    for _ in range(20):
        began = time.process_time()
        sum(number * number for number in range(tried))
        best = min(best, time.process_time() - began)
    return round(tried * seconds / best)


def print_table(found: dict[int, list[Figures]]) -> None:
    rows = (
        (f"{WIDTH} activities that compute for {STEP_SECONDS * 1000:.0f} ms, s", "work"),
        ("from the command to ready, s", "ready"),
        ("memory of the process that keeps the others, MiB", "keeper"),
        ("memory of the first process, MiB", "first"),
        ("memory of a process that only works, MiB", "worker"),
    )
    print("\n| row | 1 worker | 2 workers | 2 are |")
    print("|---|---:|---:|---:|")
    for title, name in rows:
        one, two = (
            statistics.median(values) if (values := [f[name] for f in runs if name in f]) else None
            for runs in (found[count] for count in COUNTS)
        )
        ratio = f"{one / two:.2f} x" if name == "work" and one and two else ""
        print(f"| {title} | {written(one)} | {written(two)} | {ratio} |")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="medians of so many runs")
    asyncio.run(main(parser.parse_args().runs))
