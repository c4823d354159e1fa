"""Signals to entities, until the last one shows in a state."""

import asyncio
import time
from dataclasses import dataclass

from durabletask.entities import EntityInstanceId

from bench.hub import Hub
from bench.idle import gathered
from bench.loads import Figures

AT_ONCE = 200  # calls under way


@dataclass(frozen=True)
class Signals:
    """`count` signals, spread evenly over so many entities."""

    count: int
    entities: int

    async def measure(self, hub: Hub) -> Figures:
        ids = [EntityInstanceId("counter", f"{self.entities}-{n}") for n in range(self.entities)]
        began = time.perf_counter()
        calls = (
            lambda found=ids[number % self.entities]: hub.client.signal_entity(
                found, "counter", input=1
            )
            for number in range(self.count)
        )
        await gathered(calls, AT_ONCE)
        for found in ids:
            await self._applied(hub, found)
        return {"rate": self.count / (time.perf_counter() - began)}

    async def _applied(self, hub: Hub, found: EntityInstanceId) -> None:
        """Ask until all of an entity's signals are in its state."""
        for _ in range(60_000):
            entity = await hub.client.get_entity(found)
            if entity is not None and entity.get_state(int) == self.count // self.entities:
                return
            await asyncio.sleep(0.002)
        raise RuntimeError(f"Signals to {found} were not applied.")
