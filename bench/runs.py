"""Runs the work behind the rows in every column, several times, and keeps the figures."""

import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from bench.loads import Figures
from bench.rows import Row, Section, Work

type Measure = Callable[[Work], Awaitable[Figures]]
type Column = Callable[[], AbstractAsyncContextManager[Measure]]


class Found:
    """Figures by column and work, one for each run."""

    def __init__(self) -> None:
        self._figures: dict[tuple[str, Work], list[Figures]] = {}

    def add(self, column: str, work: Work, figures: Figures) -> None:
        self._figures.setdefault((column, work), []).append(figures)

    def median(self, row: Row, column: str) -> float | None:
        """The median over the runs; None for what this column cannot do."""
        runs = self._figures.get((column, row.work), [])
        values = [run[row.figure] for run in runs if row.figure in run]
        return statistics.median(values) if values else None


async def measured(sections: Sequence[Section], columns: Mapping[str, Column], runs: int) -> Found:
    """Open each column, do its work and close it; the order turns round from run to run."""
    found = Found()
    for run in range(runs):
        names = list(columns) if run % 2 == 0 else list(reversed(columns))
        for name in names:
            for works in separately(sections):
                async with columns[name]() as measure:
                    for work in works:
                        print(f"run {run + 1} of {runs}, {name}: {work}", file=sys.stderr)
                        found.add(name, work, await measure(work))
    return found


def separately(sections: Sequence[Section]) -> list[list[Work]]:
    """Each work once: in one list for all sections that share processes, then one list each."""
    together = dict.fromkeys(r.work for s in sections if not s.alone for r in s.rows)
    alone = [list(dict.fromkeys(r.work for r in s.rows)) for s in sections if s.alone]
    return [works for works in [list(together), *alone] if works]
