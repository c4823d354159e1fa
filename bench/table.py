"""Markdown tables of medians."""

from collections.abc import Sequence

from bench.rows import Row, Section
from bench.runs import Found


def print_tables(
    sections: Sequence[Section],
    found: Found,
    columns: Sequence[str],
    ratio: tuple[str, Sequence[str]],
) -> None:
    """Print a table for each section.

    `ratio` is a heading and the columns that the first column is compared with: with the best of
    them, above 1 where the first is ahead.
    """
    heading, others = ratio
    for section in sections:
        print(f"\n{section.title}:\n")
        print("| row | " + " | ".join([*columns, heading]) + " |")
        print("|---|" + "---:|" * (len(columns) + 1))
        for row in section.rows:
            values = {name: found.median(row, name) for name in columns}
            cells = [written(values[name]) for name in columns]
            best = compared(row, values[columns[0]], [values[name] for name in others])
            print("| " + " | ".join([row.name, *cells, best]) + " |")


def written(value: float | None) -> str:
    """Three digits or more; a dash for what cannot be measured there."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def compared(row: Row, ours: float | None, others: Sequence[float | None]) -> str:
    """How many times better the first column is than the best of the others."""
    known = [value for value in others if value]
    if not ours or not known or row.better == "neither":
        return "-"
    ratio = ours / max(known) if row.better == "more" else min(known) / ours
    return f"{ratio:.1f} x" if ratio >= 0.95 else f"{ratio:.2f} x"
