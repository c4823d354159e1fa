"""What is run: workflows of zero-time or timed steps, the same for every column of the tables."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

type Figures = dict[str, float]


@dataclass(frozen=True)
class Load:
    """`count` workflows at once, `times` times over.

    A `fan_out` is one step and then `size` steps at the same time; a `chain` is `size` steps one
    after the other.
    """

    kind: Literal["fan_out", "chain"]
    size: int
    milliseconds: int = 0
    count: int = 1
    times: int = 1

    @property
    def steps(self) -> int:
        """Steps of one workflow."""
        return self.size + 1 if self.kind == "fan_out" else self.size

    @property
    def given(self) -> object:
        """The input of the orchestrator of this kind."""
        return [self.size, self.milliseconds] if self.kind == "fan_out" else self.size

    def groups(self) -> Iterator[int]:
        """How many steps are ready at the same time, one number for each time they wait."""
        sizes = (1, self.size) if self.kind == "fan_out" else (1,) * self.size
        return (size * self.count for size in sizes)

    def figures(self, seconds: Sequence[float]) -> Figures:
        """The figures that follow from how long each time took."""
        middle = statistics.median(seconds)
        found = {
            "ms": middle * 1000,
            "per step": middle * 1000 / (self.steps * self.count),
            "rate": self.count / middle,
        }
        if self.milliseconds:
            found["ideal"] = middle * 1000 / (2 * self.milliseconds)
        if len(seconds) >= 20:
            found["p95"] = statistics.quantiles(seconds, n=20)[-1] * 1000
        return found
