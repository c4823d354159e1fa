"""The Functions host: work it runs beside a plain SDK worker, and starts through its webhook.

Prints Markdown tables. Everything runs on the durable scheduler.

Run: python -m bench.host [--runs 5] [--rows PATTERN]
"""

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

from bench.hub import Hub, open_hub
from bench.loads import Figures, Load
from bench.processes import ROOT, free_port
from bench.rows import Row, Section, Work, chosen
from bench.runs import Measure, measured
from bench.scheduler import arguments
from bench.starts import Starts
from bench.table import print_tables

APP = ROOT / "bench" / "app"

FAN_OUTS = Load("fan_out", 3, count=200)
WORK = Section(
    "Work through the Functions host",
    (
        Row("step A, then 100 in parallel, ms", Load("fan_out", 100, times=5), "ms"),
        Row("step A, then 1000 in parallel, ms", Load("fan_out", 1000, times=3), "ms"),
        Row("chain of 4, median, ms", Load("chain", 4, times=40), "ms"),
        Row("200 workflows of 1 + 3, workflows/s", FAN_OUTS, "rate", "more"),
        Row("200 chains of 4, workflows/s", Load("chain", 4, count=200), "rate", "more"),
        Row("200 workflows of 1 + 3, worker's time for a step, ms", FAN_OUTS, "worker cpu"),
    ),
)
STARTS = Section(
    "Starts",
    tuple(
        Row(f"starts over {n} connection(s), starts/s", Starts(count, n), "rate", "more")
        for n, count in ((1, 300), (16, 1600))
    ),
)


@contextlib.asynccontextmanager
async def host_hub(folder: Path) -> AsyncIterator[tuple[Hub, int]]:
    """A scheduler whose work the Functions host runs, and the host's port."""
    port = free_port()
    options = ["host", "--app", str(APP), "--port", str(port), "--scheduler"]
    async with open_hub(
        "durable", folder, lambda address: ["local_runtime", *options, address]
    ) as hub:
        yield hub, port


@contextlib.asynccontextmanager
async def through_host(folder: Path) -> AsyncIterator[Measure]:
    """Loads run by the host, and starts through its webhook."""
    async with host_hub(folder) as (hub, port):

        async def measure(work: Work) -> Figures:
            if isinstance(work, Starts):
                return await work.by_http(port)
            return await hub.measure(work) if isinstance(work, Load) else {}

        yield measure


@contextlib.asynccontextmanager
async def plainly(folder: Path) -> AsyncIterator[Measure]:
    """Loads run by the SDK's plain worker; starts straight at the scheduler, run by the host."""
    async with open_hub("durable", folder) as hub, host_hub(folder) as (hosted, _):

        async def measure(work: Work) -> Figures:
            if isinstance(work, Starts):
                return await work.by_grpc(hosted.address)
            return await hub.measure(work) if isinstance(work, Load) else {}

        yield measure


async def main(sections: Sequence[Section], runs: int) -> None:
    (ROOT / ".local").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".local") as name:
        folder = Path(name)
        columns = {
            "host": partial(through_host, folder),
            "plain worker, or raw StartInstance": partial(plainly, folder),
        }
        found = await measured(sections, columns, runs)
    print_tables(sections, found, list(columns), ("host is", list(columns)[1:]))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    options = arguments(__doc__)
    asyncio.run(main(chosen((WORK, STARTS), options.rows), options.runs))
