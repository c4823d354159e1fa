"""How many turns a workflow takes: the fewer, the more completions each one found waiting."""

import statistics
from dataclasses import dataclass

from bench.hub import Hub
from bench.loads import Figures, Load


@dataclass(frozen=True)
class Turns:
    """Count the turns of each workflow in its history."""

    load: Load

    async def measure(self, hub: Hub) -> Figures:
        found = [await hub.turns(self.load) for _ in range(self.load.times)]
        return {"turns": statistics.median(found)}
