"""Keeps scenarios running, never more than so many at once, and purges some of what has ended."""

import asyncio
import random
from pathlib import Path

from tests.soak.audit import history_seen_by_client
from tests.soak.ledger import Instance, Ledger
from tests.soak.patient import Patient
from tests.soak.scenarios import KINDS, Scenario


class Load:
    """The mixed load."""

    def __init__(self, hub: Patient, ledger: Ledger, marks: Path, seed: int, purged: float) -> None:
        self.ledger = ledger
        self.running: dict[asyncio.Task[None], str] = {}
        self._hub = hub
        self._marks = marks
        self._seed = seed
        self._chance = random.Random(f"{seed}/load")
        self._purged = purged
        self._number = 0
        self._room = asyncio.Event()

    async def run(self, rate: float, cap: int) -> None:
        """Start scenarios at a rate until cancelled; fewer where they do not end as fast."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            while len(self.running) >= cap:
                self._room.clear()
                await self._room.wait()
            # Now and then many come at once.
            for _ in range(20 if self._chance.random() < 0.02 else 1):
                self._start()
            # What could not be started for lack of room is not made up for.
            due = max(due + 1 / rate, loop.time() - 1)
            await self._hub.pause(max(0.0, due - loop.time()))

    def _start(self) -> None:
        self._number += 1
        chance = random.Random(f"{self._seed}/{self._number}")
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        instance_id = f"{self._number:06d}-{kind.__name__}"
        scenario = Scenario(instance_id, chance, self._hub, self.ledger, self._marks)
        self.ledger.counts[f"scenario {kind.__name__}"] += 1

        async def whole() -> None:
            await kind(scenario)
            instance = self.ledger.instances.get(instance_id)
            is_faulty = any(fault.startswith(instance_id) for fault in self.ledger.faults)
            if instance is not None and not is_faulty and chance.random() < self._purged:
                await self._purge(instance)

        running = asyncio.create_task(whole())
        self.running[running] = instance_id
        running.add_done_callback(self._ended)

    async def _purge(self, instance: Instance) -> None:
        """Audit a history while it is there, then delete it with its children."""
        instance_id = instance.instance_id
        found, known = await history_seen_by_client(self._hub, instance_id)
        if found:
            self.ledger.faults += found
            return
        self.ledger.records |= known
        sdk = self._hub.sdk
        await self._hub.insist(lambda: sdk.purge_orchestration(instance_id, recursive=True))
        if await self._hub.state(instance_id) is not None:
            self.ledger.faults.append(f"{instance_id} was purged and is there")
        instance.is_purged = True
        self.ledger.counts["purged"] += 1

    def _ended(self, ended: asyncio.Task[None]) -> None:
        instance_id = self.running.pop(ended)
        self._room.set()
        if not ended.cancelled() and (error := ended.exception()) is not None:
            self.ledger.faults.append(f"{instance_id}: {type(error).__name__}: {error}")

    async def settle(self, patience: float) -> list[str]:
        """Wait for the scenarios under way; names those that do not end."""
        if self.running:
            await asyncio.wait(list(self.running), timeout=patience)
        stuck = sorted(self.running.values())
        for task in list(self.running):
            task.cancel()
        return stuck
