"""What the client knows of its own doings: what it started, sent and was told, to audit by."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.soak.executions import Record

ANY = object()
"""An output that is not foretold."""

COMPLETED = frozenset({"COMPLETED"})
FAILED = frozenset({"FAILED"})
TERMINATED = frozenset({"TERMINATED"})
ENDS = COMPLETED | FAILED | TERMINATED


@dataclass
class Bounds:
    """How often something may count: an answer that was lost leaves that open."""

    low: int = 0
    high: int = 0

    def sent(self, tries: int) -> None:
        """Note what was acknowledged in the end, and how many tries may have got through."""
        self.low += 1
        self.high += tries

    def hold(self, count: int) -> bool:
        """Whether a count lies within."""
        return self.low <= count <= self.high


@dataclass
class Instance:
    """One orchestration that the client started, and how it has to end."""

    instance_id: str
    kind: str
    ends: frozenset[str] = COMPLETED
    output: Any = ANY
    child_ends: frozenset[str] = COMPLETED
    events: dict[int, Bounds] | None = None  # by serial number, where it collects them
    in_order: bool = False
    is_purged: bool = False

    def faults(self, status: str, output: Any, failure: object = None) -> list[str]:
        """Return what is wrong with the way it ended; nothing if all is well."""
        name = f"{self.instance_id} ({self.kind})"
        if status not in self.ends:
            return [f"{name} is {status}, and not {' or '.join(sorted(self.ends))}: {failure}"]
        if status != "COMPLETED":
            return []
        if self.events is not None:
            return [f"{name}: {fault}" for fault in self._event_faults(output)]
        if self.output is not ANY and output != self.output:
            return [f"{name} returned {output!r}, and not {self.output!r}"]
        return []

    def _event_faults(self, collected: Iterable[int]) -> list[str]:
        collected = list(collected)
        counted = Counter(collected)
        events = self.events or {}
        found = [
            f"event {serial} came {counted[serial]} times, and not {bounds.low} to {bounds.high}"
            for serial, bounds in events.items()
            if not bounds.hold(counted[serial])
        ]
        found += [f"event {serial} was never sent" for serial in counted.keys() - events.keys()]
        if self.in_order and collected != sorted(collected):
            found.append(f"the events came out of order: {collected}")
        return found


@dataclass
class Ledger:
    """Everything that was started and sent."""

    instances: dict[str, Instance] = field(default_factory=dict)
    tallies: defaultdict[str, Bounds] = field(default_factory=lambda: defaultdict(Bounds))
    counts: Counter[str] = field(default_factory=Counter)
    lost_restarts: int = 0  # new runs whose id never reached the client
    faults: list[str] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)  # of activities, by instance and task

    def add(self, instance: Instance) -> Instance:
        """Note an instance that is about to be started."""
        self.instances[instance.instance_id] = instance
        return instance

    def root(self, instance_id: str) -> Instance | None:
        """The instance that the client started, for one of its own or its children's ids."""
        return self.instances.get(instance_id.partition(":")[0])
