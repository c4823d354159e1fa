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

from tests.soak import audit, executions
from tests.soak.host import HUB, Bursts, Host
from tests.soak.ledger import Ledger
from tests.soak.lines import Line
from tests.soak.load import Load
from tests.soak.patient import Patient, status
from tests.soak.processes import ROOT, Part, Scheduler, Toll, Worker
from tests.soak.scenarios import ACCOUNTS

# By which lines the workers are connected, and what may happen to calls on them.
_WORKERS = ("", "delivered")
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
    burst: int = 500  # instances started at once at the host
    burst_every: float = 60.0  # seconds between bursts
    largest_burst: int = 4000  # once, in the middle
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
    verdict: executions.Verdict = field(default_factory=executions.Verdict)
    hung: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """How many instances are not there that were started."""
        return sum(fault.endswith(audit.GONE) for fault in self.faults)


async def soak(settings: Settings, port: int, folder: Path | None = None) -> Result:
    """Run a soak on a data folder of its own, which is kept where something is wrong."""
    (ROOT / ".local").mkdir(exist_ok=True)
    data = folder or Path(tempfile.mkdtemp(dir=ROOT / ".local", prefix="soak-"))
    result = Result(settings, data)
    async with contextlib.AsyncExitStack() as stack:
        world = await _World.create(settings, port, result, stack)
        await _run(world)
    result.faults += result.ledger.faults + world.bursts.ledger.faults + result.toll.faults
    if not result.faults and folder is None:
        shutil.rmtree(data)
    return result


@dataclass
class _World:
    """Everything that takes part in a soak."""

    result: Result
    scheduler: Scheduler
    parts: list[Worker | Host]
    lines: list[Line]
    hub: Patient
    hosted: Patient
    load: Load
    bursts: Bursts

    @classmethod
    async def create(
        cls, settings: Settings, port: int, result: Result, stack: contextlib.AsyncExitStack
    ) -> "_World":
        """Lay the lines, and make the processes; none is started yet."""
        toll, data, seed = result.toll, result.data, settings.seed
        scheduler = Scheduler(port, data, toll)
        ways = {f"worker-{number}": calls for number, calls in enumerate(_WORKERS)}
        ways["host"] = "repeated"
        lines = [
            await stack.enter_async_context(
                Line.to(scheduler.address, who, toll, seed, calls=calls)
            )
            for who, calls in ways.items()
        ]
        host = Host(lines[-1].address, data, toll)
        workers = [Worker(n, line.address, data, toll) for n, line in enumerate(lines[:-1])]
        hub, hosted = Patient(scheduler.address), Patient(scheduler.address, HUB)
        for patient in (hub, hosted):
            stack.push_async_callback(patient.sdk.close)
        load = Load(hub, result.ledger, data, seed, settings.purged)
        bursts = Bursts(host, result.ledger)
        parts = [*workers, host]
        return cls(result, scheduler, parts, lines, hub, hosted, load, bursts)

    @property
    def files(self) -> list[Path]:
        """The files of the two hubs."""
        return [self.scheduler.file, self.scheduler.file.with_name(f"{HUB}.taskhub.db")]


async def _run(world: _World) -> None:
    result, settings = world.result, world.result.settings
    try:
        async with _killing(world) as over:
            await _loading(world.load, settings, result.toll, over)
        stuck = await world.load.settle(settings.patience)
        result.hung += len(stuck)
        if stuck:
            result.faults.append(f"{len(stuck)} did not end: {', '.join(stuck[:20])}")
            result.faults += [str(await world.hub.state(one)) for one in stuck[:20]]
        await _audit(world)
    finally:
        for part in (*world.parts, world.scheduler):
            await part.end()


@contextlib.asynccontextmanager
async def _killing(world: _World) -> AsyncIterator[asyncio.Event]:
    """Kill, stop, cut and burst over and over; at the end the scheduler is there again."""
    settings = world.result.settings
    over = asyncio.Event()
    bursts = asyncio.create_task(world.bursts.run(_burst_sizes(settings), over))
    try:
        async with asyncio.TaskGroup() as deaths:
            deadly: list[Part] = [world.scheduler, *world.parts]
            for part in deadly:
                chance = random.Random(f"{settings.seed}/{part.name}")
                deaths.create_task(part.die_over_and_over(chance, over, settings.every))
            for line in world.lines:
                chance = random.Random(f"{settings.seed}/line of {line.who}")
                deaths.create_task(line.suffer(chance, over, settings.every))
            try:
                yield over
            finally:
                over.set()
        await world.scheduler.start_and_answer()
        # Whatever a burst was to start is started, now that all are back.
        await asyncio.wait({bursts}, timeout=settings.patience)
        if not bursts.done():
            world.result.faults.append("not all of the bursts could be started")
    finally:
        bursts.cancel()
        await asyncio.gather(bursts, return_exceptions=True)


def _burst_sizes(settings: Settings) -> dict[float, int]:
    """How many start at once, by the second at which they do."""
    sizes: dict[float, int] = {}
    at = settings.burst_every / 2
    while at < settings.seconds * 0.95:
        sizes[at] = settings.burst
        at += settings.burst_every
    return {**sizes, settings.seconds * 0.4: settings.largest_burst}


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


async def _audit(world: _World) -> None:
    """Wait until nothing is under way, and look at everything that is left."""
    result, scheduler = world.result, world.scheduler
    for hub, file in zip((world.hub, world.hosted), world.files, strict=True):
        left = await _quiet(hub, file, result.settings.patience)
        if left:
            result.hung += sum(one.startswith(audit.NO_END) for one in left)
            result.faults.append(f"{len(left)} left over, such as {', '.join(left[:20])}")
    if result.hung:
        return
    known = dict(result.ledger.records)
    for hub, file, ledger in (
        (world.hub, world.files[0], result.ledger),
        (world.hosted, world.files[1], world.bursts.ledger),
    ):
        known |= await _audit_hub(result, hub, file, ledger)
    result.histories += result.ledger.counts["purged"]
    result.tallies = await audit.entity_values(world.hub, "tally", result.ledger.tallies)
    accounts = await audit.entity_values(world.hub, "account", ACCOUNTS)
    result.faults += audit.entity_faults(result.ledger, result.tallies, accounts)
    runs = [one for file in result.data.glob("executions-*") for one in executions.read(file)]
    runs.sort(key=lambda one: one.began)
    result.verdict = executions.judge(runs, known, result.toll.troubles)
    result.faults += result.verdict.faults
    code = await scheduler.end(signal.SIGTERM)
    if code != 0:
        result.faults.append(f"the scheduler ended with {code} when it was told to stop")
    for file in world.files:
        result.faults += audit.stored_faults(file)
    result.faults += [
        f"scheduler.log: {line}"
        for line in scheduler.log.read_text().splitlines()
        if any(news in line for news in _NEWS)
    ]


async def _audit_hub(
    result: Result, hub: Patient, file: Path, ledger: Ledger
) -> dict[str, executions.Record]:
    """Audit what a client sees of one hub; what the histories say of activities."""
    states, _ = await hub.insist(
        lambda: hub.sdk.get_all_orchestration_states(
            client.OrchestrationQuery(fetch_inputs_and_outputs=True)
        )
    )
    result.faults += audit.outcome_faults(ledger, states)
    for state in states:
        root = ledger.root(state.instance_id)
        is_child = ":" in state.instance_id
        kind = f"{root.kind if root else 'restarted'}{', child' if is_child else ''}"
        result.ends[kind, status(state)] += 1
    found, known = await audit.all_histories(hub, file, states)
    result.faults += found
    result.histories += len(states)
    return known


async def _quiet(hub: Patient, file: Path, patience: float) -> list[str]:
    """Wait until nothing is outstanding; what still is when patience ends."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while (left := audit.outstanding(file)) and loop.time() < until:
        await hub.pause(0.2)
    return left
