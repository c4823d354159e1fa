"""The rows of the tables, in sections, and which figure of which work each one shows."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from bench.idle import Idle
from bench.loads import Load
from bench.signals import Signals
from bench.starts import Starts
from bench.turns import Turns

type Work = Load | Turns | Idle | Signals | Starts


@dataclass(frozen=True)
class Row:
    """One line: a figure of a work; `better` says which way a ratio counts."""

    name: str
    work: Work
    figure: str
    better: Literal["less", "more", "neither"] = "less"


@dataclass(frozen=True)
class Section:
    """One table. A section that is `alone` gets processes of its own."""

    title: str
    rows: tuple[Row, ...]
    alone: bool = False


CHAIN_OF_4 = Load("chain", 4, times=40)
FAN_OUT_1000 = Load("fan_out", 1000, times=3)
LENGTHS = (100, 500, 1000, 2000)
IDLE = Idle(10_000, clients=1_000)

SHORT = Section(
    "Short workflows",
    (
        Row("step A, then 2 in parallel, ms", Load("fan_out", 2, times=15), "ms"),
        Row("step A, then 100 in parallel, ms", Load("fan_out", 100, times=5), "ms"),
        Row("step A, then 1000 in parallel, ms", FAN_OUT_1000, "ms"),
        Row("chain of 4, median, ms", CHAIN_OF_4, "ms"),
        Row("chain of 4, 95 of 100 within, ms", CHAIN_OF_4, "p95"),
        Row("200 workflows of 1 + 3, workflows/s", Load("fan_out", 3, count=200), "rate", "more"),
        Row("200 chains of 4, workflows/s", Load("chain", 4, count=200), "rate", "more"),
    ),
)
TIMED = Section(
    "Steps of 200 ms",
    (
        Row("step A, then 2 in parallel, x 400 ms", Load("fan_out", 2, 200, times=3), "ideal"),
        Row("step A, then 100 in parallel, x 400 ms", Load("fan_out", 100, 200, times=3), "ideal"),
    ),
)
LONG = Section(
    "Long chains",
    tuple(Row(f"chain of {n}, ms per step", Load("chain", n), "per step") for n in LENGTHS),
)
SHARES = Section(
    "Processor time in long chains",
    tuple(
        Row(f"chain of {n}, {who}, ms per step", Load("chain", n), f"{process} cpu")
        for who, process in (("backend", "server"), ("worker", "worker"))
        for n in LENGTHS
    ),
)
TURNS = Section(
    "Turns",
    (Row("step A, then 1000 in parallel, turns", Turns(FAN_OUT_1000), "turns"),),
)
ENTITIES = Section(
    "Entities",
    tuple(
        Row(f"signals to {title}, signals/s", Signals(2_000, count), "rate", "more")
        for title, count in (("one entity", 1), ("100 entities", 100))
    ),
)
WAITING = Section(
    "10,000 idle instances",
    (
        Row("memory of the backend before, MiB", IDLE, "empty"),
        Row("memory of the backend with them, MiB", IDLE, "full"),
        Row("one more workflow of 1 + 2, ms", IDLE, "one more"),
        Row("first answer after a kill, s", IDLE, "answer"),
        Row("one more workflow done after a kill, s", IDLE, "done"),
        Row("one more workflow while 1,000 clients wait, ms", IDLE, "one more, waiting"),
        Row("1,000 events, until 1,000 clients have their answer, s", IDLE, "answers"),
    ),
    alone=True,
)

WHOLE = (SHORT, TURNS, TIMED, LONG, SHARES, ENTITIES, WAITING)
BESIDE_PEERS = (SHORT, TIMED, LONG)


def chosen(sections: Iterable[Section], pattern: str) -> list[Section]:
    """The sections with the rows whose name or section's title a regular expression finds."""
    wanted = re.compile(pattern, re.IGNORECASE)
    found: list[Section] = []
    for section in sections:
        rows = [r for r in section.rows if wanted.search(r.name) or wanted.search(section.title)]
        if rows:
            found.append(replace(section, rows=tuple(rows)))
    return found
