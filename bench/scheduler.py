"""The durable scheduler beside the SDK's in-memory backend: the same worker, the same work.

Prints Markdown tables, with bare SQLite commits as the limit.

Run: python -m bench.scheduler [--runs 5] [--rows PATTERN] [--quick]
"""

import argparse
import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

from bench.hub import open_hub
from bench.loads import Figures, Load
from bench.processes import ROOT
from bench.rows import SHORT, WHOLE, Section, Work, chosen
from bench.runs import Measure, measured
from bench.sqlite_limit import limit
from bench.table import print_tables


@contextlib.asynccontextmanager
async def hub_column(name: str, folder: Path) -> AsyncIterator[Measure]:
    """A backend with its worker."""
    async with open_hub(name, folder) as hub:

        async def measure(work: Work) -> Figures:
            return await (hub.measure(work) if isinstance(work, Load) else work.measure(hub))

        yield measure


@contextlib.asynccontextmanager
async def limit_column(folder: Path, *, grouped: bool) -> AsyncIterator[Measure]:
    """Bare commits; nothing but loads has a limit."""

    async def measure(work: Work) -> Figures:
        return limit(work, folder, grouped=grouped) if isinstance(work, Load) else {}

    yield measure


async def main(sections: Sequence[Section], runs: int) -> None:
    (ROOT / ".local").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".local") as name:
        folder = Path(name)
        columns = {
            "durable": partial(hub_column, "durable", folder),
            "in memory": partial(hub_column, "memory", folder),
            "SQLite, a commit each": partial(limit_column, folder, grouped=False),
            "SQLite, in groups": partial(limit_column, folder, grouped=True),
        }
        found = await measured(sections, columns, runs)
    print_tables(sections, found, list(columns), ("durable is", ["in memory"]))


def arguments(description: str | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="medians of so many runs")
    parser.add_argument("--rows", default="", help="only rows or tables this expression finds")
    parser.add_argument("--quick", action="store_true", help="only the short workflows")
    return parser.parse_args()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    options = arguments(__doc__)
    sections = chosen((SHORT,) if options.quick else WHOLE, options.rows)
    asyncio.run(main(sections, options.runs))
