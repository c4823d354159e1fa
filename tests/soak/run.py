"""One soak: load and kills side by side, then peace, then the audit."""

import asyncio
import contextlib
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from durabletask import client

from tests.soak import audit
from tests.soak.ledger import Ledger
from tests.soak.load import Load
from tests.soak.patient import Patient, status
from tests.soak.processes import ROOT, Scheduler, Toll, Worker
from tests.soak.scenarios import ACCOUNTS

_WORKERS = 2
_PROGRESS_SECONDS = 10.0
_NEWS = (" ERROR ", " CRITICAL ", "Traceback")


@dataclass(frozen=True)
class Settings:
    """How long, how much, and how often something is killed."""

    seed: int
    seconds: float = 30 * 60
    rate: float = 15.0  # scenarios started in a second
    cap: int = 40  # scenarios under way
    every: float = 8.0  # seconds between two deaths of the scheduler, and of each worker, about
    purged: float = 0.5  # of what has ended
    patience: float = 180.0  # seconds for everything to end when the load has ended


@dataclass
class Result:
    """What a soak came to."""

    settings: Settings
    data: Path
    ledger: Ledger = field(default_factory=Ledger)
    toll: Toll = field(default_factory=Toll)
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)  # by kind and state
    tallies: dict[str, int] = field(default_factory=dict)
    histories: int = 0
    faults: list[str] = field(default_factory=list)


async def soak(settings: Settings, port: int, folder: Path | None = None) -> Result:
    """Run a soak on a data folder of its own, which is kept where something is wrong."""
    (ROOT / ".local").mkdir(exist_ok=True)
    data = folder or Path(tempfile.mkdtemp(dir=ROOT / ".local", prefix="soak-"))
    result = Result(settings, data)
    scheduler = Scheduler(port, data, result.toll)
    workers = [Worker(n, scheduler.address, data, result.toll) for n in range(_WORKERS)]
    hub = Patient(scheduler.address)
    load = Load(hub, result.ledger, data, settings.seed, settings.purged)
    try:
        async with _killing(settings, scheduler, workers) as over:
            await _loading(load, settings, result.toll, over)
        await scheduler.start_and_answer()
        stuck = await load.settle(settings.patience)
        if stuck:
            result.faults.append(f"{len(stuck)} did not end: {', '.join(stuck[:20])}")
            result.faults += [str(await hub.state(instance_id)) for instance_id in stuck[:20]]
        await _audit(result, hub, scheduler)
    finally:
        await hub.sdk.close()
        for part in (*workers, scheduler):
            await part.end()
    result.faults += result.ledger.faults + result.toll.faults
    if not result.faults and folder is None:
        shutil.rmtree(data)
    return result


@contextlib.asynccontextmanager
async def _killing(
    settings: Settings, scheduler: Scheduler, workers: list[Worker]
) -> AsyncIterator[asyncio.Event]:
    """Kill and start processes over and over; at the end the scheduler is dead."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as deaths:
        for part in (scheduler, *workers):
            chance = random.Random(f"{settings.seed}/{part.name}")
            deaths.create_task(part.die_over_and_over(chance, over, settings.every))
        try:
            yield over
        finally:
            over.set()


async def _loading(load: Load, settings: Settings, toll: Toll, over: asyncio.Event) -> None:
    running = asyncio.create_task(load.run(settings.rate, settings.cap))
    loop = asyncio.get_running_loop()
    began = loop.time()
    # On a machine that is slow to start a process, a short soak goes on until each has died once.
    while not running.done() and (
        (left := settings.seconds - (loop.time() - began)) > 0
        or (not toll.each_was_killed and left > -settings.patience)
    ):
        await asyncio.wait({running}, timeout=min(_PROGRESS_SECONDS, max(left, 1.0)))
        print(_progress(load, toll, loop.time() - began), file=sys.stderr)
    over.set()
    running.cancel()  # it may wait for room, which nothing makes while the scheduler is dead
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _progress(load: Load, toll: Toll, elapsed: float) -> str:
    counts = load.ledger.counts
    return (
        f"{elapsed:6.0f} s: {counts['started']} started, {counts['finished']} finished, "
        f"{len(load.running)} under way, {counts['purged']} purged, "
        f"{counts['events']} events, {counts['signals']} signals; killed: scheduler "
        f"{toll.of_scheduler}, workers {toll.kills['worker']}; faults {len(load.ledger.faults)}"
    )


async def _audit(result: Result, hub: Patient, scheduler: Scheduler) -> None:
    """Wait until nothing is under way, and look at everything that is left."""
    left = await _quiet(hub, scheduler.file, result.settings.patience)
    if left:
        result.faults.append(f"{len(left)} left over, such as {', '.join(left[:20])}")
        return
    states, _ = await hub.insist(
        lambda: hub.sdk.get_all_orchestration_states(
            client.OrchestrationQuery(fetch_inputs_and_outputs=True)
        )
    )
    result.faults += audit.outcome_faults(result.ledger, states)
    for state in states:
        root = result.ledger.root(state.instance_id)
        is_child = ":" in state.instance_id
        kind = f"{root.kind if root else 'restarted'}{', child' if is_child else ''}"
        result.ends[kind, status(state)] += 1
    result.faults += await audit.all_history_faults(hub, scheduler.file, states)
    result.histories = len(states) + result.ledger.counts["purged"]
    result.tallies = await audit.entity_values(hub, "tally", result.ledger.tallies)
    accounts = await audit.entity_values(hub, "account", ACCOUNTS)
    result.faults += audit.entity_faults(result.ledger, result.tallies, accounts)
    code = await scheduler.end(signal.SIGTERM)
    if code != 0:
        result.faults.append(f"the scheduler ended with {code} when it was told to stop")
    result.faults += audit.stored_faults(scheduler.file)
    result.faults += [
        f"scheduler.log: {line}"
        for line in scheduler.log.read_text().splitlines()
        if any(news in line for news in _NEWS)
    ]


async def _quiet(hub: Patient, file: Path, patience: float) -> list[str]:
    """Wait until nothing is outstanding; what still is when patience ends."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while (left := audit.outstanding(file)) and loop.time() < until:
        await hub.pause(0.2)
    return left
