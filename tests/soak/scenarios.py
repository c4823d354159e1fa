"""What one client does with one orchestration, from its start to its end, and what must come of it.

Each scenario draws from a source of chance of its own, so that a seed gives the same scenarios
however they come to run beside each other.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
from durabletask import entities

from local_runtime.clock import SystemClock
from tests.soak import ledger, workflows
from tests.soak.ledger import Bounds, Instance, Ledger
from tests.soak.patient import Patient, judged, status

TALLIES = [f"t{number}" for number in range(6)]
ACCOUNTS = [f"a{number}" for number in range(5)]


@dataclass
class Scenario:
    """One run of a scenario: its own id and chance, and what it shares with the others."""

    instance_id: str
    chance: random.Random
    hub: Patient
    ledger: Ledger
    marks: Path

    def expect(self, kind: str, **fields: object) -> Instance:
        self.ledger.counts["started"] += 1
        return self.ledger.add(Instance(self.instance_id, kind, **fields))

    async def end(self, instance: Instance) -> None:
        """Wait for the end and compare it with what was foretold."""
        state = await self.hub.finished(instance.instance_id)
        if state is None:
            self.ledger.faults.append(f"{instance.instance_id} ({instance.kind}) is gone")
        else:
            self.ledger.faults += judged(instance, state)
        self.ledger.counts["finished"] += 1

    async def suspend_for_a_while(self) -> None:
        """Suspend at some moment, whatever the instance is doing, and resume."""
        sdk = self.hub.sdk
        await self.hub.pause(self.chance.uniform(0, 0.5))
        await self.hub.insist(lambda: sdk.suspend_orchestration(self.instance_id))
        state = await self.hub.state(self.instance_id)
        if state is None or status(state) not in {"SUSPENDED", *ledger.ENDS}:
            self.ledger.faults.append(f"{self.instance_id} was suspended, and is {state}")
        await self.hub.pause(self.chance.uniform(0, 0.5))
        await self.hub.insist(lambda: sdk.resume_orchestration(self.instance_id))
        self.ledger.counts["suspended and resumed"] += 1

    async def terminate(self, *, recursive: bool) -> None:
        await self.hub.insist(
            lambda: self.hub.sdk.terminate_orchestration(
                self.instance_id, output="enough", recursive=recursive
            )
        )
        self.ledger.counts["terminated" + (" recursively" if recursive else "")] += 1

    def mend(self) -> None:
        workflows.mended(self.marks, self.instance_id).touch()


def _plain(chance: random.Random) -> tuple[str, object, object]:
    """A workflow that runs by itself: its name, input and output."""
    width, steps, depth = chance.randint(1, 25), chance.randint(1, 8), chance.randint(1, 3)
    lengths = [chance.randint(1, 400) for _ in range(chance.randint(1, 3))]
    return chance.choice(
        [
            ("fan_out", width, width * (width - 1)),
            ("errands", lengths, lengths),
            ("chain", steps, steps),
            ("family", [3, depth], workflows.leaves(3, depth)),
            ("loop", [steps, 0], steps),
            ("naps", lengths, len(lengths) + 1),
            ("flaky", steps % 4, "lucky"),
        ]
    )


async def plain(run: Scenario) -> None:
    """Run it to its end; now and then suspended on the way."""
    kind, given, output = _plain(run.chance)
    instance = run.expect(kind, output=output)
    await run.hub.start(kind, run.instance_id, given)
    if run.chance.random() < 0.2:
        await run.suspend_for_a_while()
    await run.end(instance)


async def cut_short(run: Scenario) -> None:
    """Terminate whatever it is at; where the end came first, the end counts."""
    kind, given, output = _plain(run.chance)
    recursive = run.chance.random() < 0.5
    ends = ledger.TERMINATED | ledger.COMPLETED
    instance = run.expect(kind, ends=ends, output=output, child_ends=ends)
    await run.hub.start(kind, run.instance_id, given)
    await run.hub.pause(run.chance.uniform(0, 0.4))
    await run.terminate(recursive=recursive)
    await run.end(instance)


async def terminated(run: Scenario) -> None:
    """Terminate one that waits for its child; the child goes too, or lives on."""
    recursive = run.chance.random() < 0.5
    child = f"{run.instance_id}:0001"
    instance = run.expect(
        "waiting",
        ends=ledger.TERMINATED,
        child_ends=ledger.TERMINATED if recursive else ledger.COMPLETED,
    )
    await run.hub.start("waiting", run.instance_id, True)
    while await run.hub.state(child) is None:
        await run.hub.pause()
    await run.terminate(recursive=recursive)
    await run.end(instance)
    if not recursive:
        await run.hub.tell(child, "go", "on")
        await run.hub.finished(child)


async def collecting(run: Scenario) -> None:
    """Raise events one by one or all at once, while it continues as new, or is suspended."""
    chance = run.chance
    instance = run.expect("collector", events={}, in_order=chance.random() < 0.5)
    await run.hub.start("collector", run.instance_id, [[], chance.randint(2, 6)])

    async def raise_one(serial: int) -> None:
        events = instance.events
        assert events is not None
        events[serial] = Bounds(0, 1)
        tries = await run.hub.tell(run.instance_id, "item", serial)
        events[serial] = Bounds(1, tries)
        run.ledger.counts["events"] += 1
        run.ledger.counts["events raised again"] += tries - 1

    async def raise_all() -> None:
        serials = range(chance.randint(1, 20))
        if not instance.in_order:
            await asyncio.gather(*map(raise_one, serials))
            return
        for serial in serials:
            await raise_one(serial)

    meddling = run.suspend_for_a_while() if chance.random() < 0.3 else asyncio.sleep(0)
    await asyncio.gather(raise_all(), meddling)
    await run.hub.tell(run.instance_id, "item", -1)
    await run.end(instance)


async def calling(run: Scenario) -> None:
    """Let it signal and call tallies: each counts once."""
    chance = run.chance
    signals = chance.choices(TALLIES, k=chance.randint(0, 4))
    calls = chance.choices(TALLIES, k=chance.randint(1, 4))
    instance = run.expect("caller", output=True)
    for key in signals + calls:
        run.ledger.tallies[key].sent(1)
    await run.hub.start("caller", run.instance_id, [signals, calls])
    if chance.random() < 0.2:
        await run.suspend_for_a_while()
    await run.end(instance)


async def transferring(run: Scenario) -> None:
    """Move an amount between two accounts, which it locks."""
    given = [*run.chance.sample(ACCOUNTS, 2), run.chance.randint(1, 100)]
    instance = run.expect("transfer", output=True)
    await run.hub.start("transfer", run.instance_id, given)
    await run.end(instance)


async def signalling(run: Scenario) -> None:
    """Signal tallies from outside, some of it for later."""
    for key in run.chance.choices(TALLIES, k=run.chance.randint(1, 8)):
        later = timedelta(seconds=run.chance.uniform(0.1, 2))
        at = SystemClock().now() + later if run.chance.random() < 0.3 else None
        bounds = run.ledger.tallies[key]
        bounds.high += 1  # under way: it may count before its answer is here
        tries = await run.hub.signal(entities.EntityInstanceId("tally", key), at)
        bounds.high -= 1
        bounds.sent(tries)
        run.ledger.counts["signals"] += 1
        run.ledger.counts["signals sent again"] += tries - 1


async def failing(run: Scenario) -> None:
    """Fail for good, after some tries."""
    instance = run.expect("doomed", ends=ledger.FAILED)
    await run.hub.start("doomed", run.instance_id, None)
    await run.end(instance)


async def rewound(run: Scenario) -> None:
    """Let it fail, maybe in a child or grandchild, mend what is broken and rewind it."""
    instance = await _broken(run)
    sdk = run.hub.sdk
    await run.hub.insist(
        lambda: sdk.rewind_orchestration(run.instance_id, reason="mended"),
        taken=grpc.StatusCode.FAILED_PRECONDITION,
    )
    run.ledger.counts["rewound"] += 1
    meddling = run.chance.random()
    if meddling < 0.3:
        await run.suspend_for_a_while()
    elif meddling < 0.5:
        instance.ends = ledger.TERMINATED | ledger.COMPLETED
        instance.child_ends = ledger.ENDS  # FAILED where the rewind had not come to the child yet
        await run.hub.pause(run.chance.uniform(0, 0.05))
        await run.terminate(recursive=True)
    await run.end(instance)


async def restarted(run: Scenario) -> None:
    """Let it fail, mend what is broken and start it again, under its id or a new one."""
    instance = await _broken(run)
    sdk = run.hub.sdk
    anew = run.chance.random() < 0.5
    new_id, tries = await run.hub.insist(
        lambda: sdk.restart_orchestration(run.instance_id, restart_with_new_instance_id=anew),
        taken=grpc.StatusCode.FAILED_PRECONDITION,
    )
    run.ledger.counts["restarted"] += 1
    if anew:
        run.ledger.lost_restarts += tries - 1
        new = Instance(new_id, instance.kind, output=instance.output)
        instance.ends, instance.child_ends = ledger.FAILED, ledger.FAILED
        await run.end(run.ledger.add(new))
    else:
        await run.end(instance)


async def _broken(run: Scenario) -> Instance:
    depth = run.chance.randint(0, 2)
    instance = run.expect("breakable", output=workflows.repaired(depth))
    await run.hub.start("breakable", run.instance_id, [run.instance_id, depth])
    state = await run.hub.finished(run.instance_id)
    if state is None or status(state) != "FAILED":
        run.ledger.faults.append(f"{run.instance_id} was to fail, and is {state}")
    run.mend()
    return instance


KINDS: dict[Callable[[Scenario], Awaitable[None]], int] = {
    plain: 30,
    cut_short: 8,
    terminated: 5,
    collecting: 15,
    calling: 12,
    transferring: 12,
    signalling: 10,
    failing: 4,
    rewound: 5,
    restarted: 4,
}
"""Every scenario, and how often it is drawn beside the others."""
