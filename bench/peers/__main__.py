"""The durable scheduler beside DBOS on SQLite and LangGraph with its SQLite checkpointer.

Prints Markdown tables. Ours is the scheduler, a plain SDK worker and a client, each in a process of
its own, with gRPC between them; the peers are libraries and are called in the process that runs the
work. DBOS is measured as shipped, and as it is fastest on SQLite.

Run: make bench-peers, or: python -m bench.peers [--runs 5] [--rows PATTERN] [--quick]
"""

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from bench.loads import Figures, Load
from bench.processes import ROOT, end
from bench.rows import BESIDE_PEERS, SHORT, Section, Work, chosen
from bench.runs import Measure, measured
from bench.scheduler import arguments, hub_column
from bench.table import print_tables

PYTHON = ROOT / ".tools" / "bench-peers" / "bin" / "python"


@contextlib.asynccontextmanager
async def peer_column(module: str, folder: Path, *options: str) -> AsyncIterator[Measure]:
    """A peer's process, with a database of its own that is new."""
    with tempfile.TemporaryDirectory(dir=folder) as data:
        process = await asyncio.create_subprocess_exec(
            *[PYTHON, "-m", f"bench.peers.{module}", str(Path(data) / "peer.db"), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "LANGSMITH_TRACING": "false"},
        )
        try:
            await answer(process)

            async def measure(work: Work) -> Figures:
                if not isinstance(work, Load):
                    return {}
                process.stdin.write(json.dumps(asdict(work)).encode() + b"\n")
                return work.figures(json.loads(await answer(process)))

            yield measure
        finally:
            await end(process)


async def answer(process: asyncio.subprocess.Process) -> bytes:
    """A peer's next answer; a RuntimeError if it died instead."""
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("A peer ended; its message is above.")
    return line


async def main(sections: Sequence[Section], runs: int) -> None:
    (ROOT / ".local").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".local") as name:
        folder = Path(name)
        columns = {
            "durable": partial(hub_column, "durable", folder),
            "LangGraph": partial(peer_column, "langgraph_peer", folder),
            "DBOS at its best": partial(peer_column, "dbos_peer", folder, "--at-best"),
            "DBOS as shipped": partial(peer_column, "dbos_peer", folder),
        }
        found = await measured(sections, columns, runs)
    peers = list(columns)[1:]
    print_tables(sections, found, list(columns), ("durable, to the best", peers))


if __name__ == "__main__":
    if not PYTHON.exists():
        sys.exit("The peers are not installed: run make bench-peers.")
    logging.disable(logging.CRITICAL)
    options = arguments(__doc__)
    sections = chosen((SHORT,) if options.quick else BESIDE_PEERS, options.rows)
    asyncio.run(main(sections, options.runs))
