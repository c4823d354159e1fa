"""How many turns a workflow takes: the fewer, the more completions each one found waiting."""

from dataclasses import dataclass

from bench.hub import Hub
from bench.loads import Figures, Load


@dataclass(frozen=True)
class Turns:
    """Count the turns of one workflow in its history."""

    load: Load

    async def measure(self, hub: Hub) -> Figures:
        return {"turns": await hub.turns(self.load)}
