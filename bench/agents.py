"""Agents beside bare activities: what a call and a loop with tools cost, and memory over 10,000.

The model takes no time, so all that is measured is Baton's. Each pair is run in turn, in one
process of the Functions host on the durable scheduler; a ratio is the median of the pairs' ratios.
Prints Markdown tables.

Run: python -m bench.agents [--runs 25] [--calls 10000]
"""

import argparse
import asyncio
import logging
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.hub import Hub, completed, open_hub
from bench.processes import ROOT, children, cpu_seconds, free_port, resident_mib
from bench.table import written

APP = ROOT / "bench" / "agent_app"
AT_ONCE = 10
CALLS_EACH = 50


@dataclass(frozen=True)
class Pair:
    """Two flows of the same shape.

    Attributes:
        title: What is compared.
        bare: The flow of bare activities.
        agent: The flow of agents.
        given: The input of both.
        steps: How many of what the title speaks of are in one flow.
        aim: The ratio that is aimed at.
        at_once: How many flows are run at the same time.
    """

    title: str
    bare: str
    agent: str
    given: object
    steps: int
    aim: float
    at_once: int = 1


PAIRS = (
    Pair("a call, in a chain of 4", "chain", "agent_chain", 4, 4, 1.25),
    Pair("a call, in ten chains of 4 at once", "chain", "agent_chain", 4, 40, 1.25, 10),
    Pair("a call, in a chain of 20", "chain", "agent_chain", 20, 20, 1.25),
    Pair("a loop of 3 turns and 5 tools", "loops", "agent_loops", 1, 1, 1.3),
    Pair("a loop, of ten at once", "loops", "agent_loops", 1, 10, 1.3, 10),
)
WIDE = Pair("a call of 200 ms, then 100", "fan_out", "agent_fan_out", [100, 200], 1, 1.5)
WIDE_IDEAL = 0.4

type Cost = tuple[float, float]
"""Seconds, and processor time of the host."""


async def cost(hub: Hub, worker: int, flow: str, pair: Pair) -> Cost:
    """What one flow takes, or several at the same time."""
    cpu, began = cpu_seconds(worker) or 0, time.perf_counter()
    starts = (
        hub.client.schedule_new_orchestration(flow, input=pair.given) for _ in range(pair.at_once)
    )
    for instance in await asyncio.gather(*starts):
        await completed(hub.client, instance)
    return time.perf_counter() - began, (cpu_seconds(worker) or 0) - cpu


async def costs(hub: Hub, worker: int, pair: Pair, runs: int) -> list[tuple[Cost, Cost]]:
    """Run a pair so many times, each of it first in every other run."""
    found: list[tuple[Cost, Cost]] = []
    for run in range(runs + 2):
        names = (pair.bare, pair.agent) if run % 2 else (pair.agent, pair.bare)
        by_name = {name: await cost(hub, worker, name, pair) for name in names}
        if run > 1:  # the first ones warm up
            found.append((by_name[pair.bare], by_name[pair.agent]))
    return found


def print_pair(pair: Pair, found: list[tuple[Cost, Cost]]) -> None:
    bare, agent = (
        statistics.median(one[side][0] for one in found) * 1000 / pair.steps for side in (0, 1)
    )
    ratio = statistics.median(one[1][0] / one[0][0] for one in found)
    spent = [sum(one[side][1] for one in found) for side in (0, 1)]
    cpu = written(spent[1] / spent[0]) if spent[0] else "-"
    print(
        f"| {pair.title} | {written(bare)} | {written(agent)} | {ratio:.2f} | {cpu} | {pair.aim} |"
    )


async def memory(hub: Hub, worker: int, calls: int) -> dict[int, float]:
    """The host's memory in MiB after some calls of an agent, by how many there were."""
    found: dict[int, float] = {}
    done = 0
    while done < calls:
        starts = (
            hub.client.schedule_new_orchestration("agent_chain", input=CALLS_EACH)
            for _ in range(AT_ONCE)
        )
        for instance in await asyncio.gather(*starts):
            await completed(hub.client, instance)
        done += AT_ONCE * CALLS_EACH
        if done % (calls // 5) == 0:
            found[done] = sum(resident_mib(pid) or 0 for pid in family(worker))
            print(f"{done} calls: {found[done]:.1f} MiB", file=sys.stderr)
    return found


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    return [pid, *(one for child in children(pid) for one in family(child))]


async def main(runs: int, calls: int) -> None:
    (ROOT / ".local").mkdir(exist_ok=True)
    options = ["host", "--app", str(APP), "--port", str(free_port()), "--scheduler"]
    with tempfile.TemporaryDirectory(dir=ROOT / ".local") as name:
        async with open_hub(
            "durable", Path(name), lambda address: ["local_runtime", *options, address]
        ) as hub:
            worker = hub.worker_pid
            print("| row | bare, ms | agents, ms | agents are | processor | aim |")
            print("|---|---:|---:|---:|---:|---:|")
            for pair in PAIRS:
                print_pair(pair, await costs(hub, worker, pair, runs))
            wide = await costs(hub, worker, WIDE, runs)
            print_pair(WIDE, wide)
            ideal = [
                statistics.median(one[side][0] for one in wide) / WIDE_IDEAL for side in (0, 1)
            ]
            print(f"\nOf the ideal 400 ms: bare {ideal[0]:.2f}, agents {ideal[1]:.2f} (aim 1.5)")
            if calls:
                print("\n| calls | memory of the host, MiB |\n|---:|---:|")
                for done, mib in (await memory(hub, worker, calls)).items():
                    print(f"| {done} | {mib:.1f} |")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=25, help="medians of so many pairs")
    parser.add_argument("--calls", type=int, default=10_000, help="for memory; 0 for none")
    given = parser.parse_args()
    asyncio.run(main(given.runs, given.calls))
