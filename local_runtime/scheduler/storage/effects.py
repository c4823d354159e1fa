"""What to do once a transaction is on disk: wake workers and waiters, set timers, log."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ReadyTask:
    """An activity that may be handed to a worker."""

    task_key: int
    instance_id: str
    execution_id: str
    task_id: int  # its number in the orchestration
    name: str
    version: str | None
    request: bytes


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row that cannot be read: it is kept, and not looked at again."""

    what: str  # like `delayed message`
    key: int
    target_id: str  # whom it is for, as far as that can be read
    why: str
    due_at: int | None = None


@dataclass(slots=True)
class Effects:
    """Consequences of committed transactions for those who wait; none happens before the commit."""

    ready: dict[str, None] = field(default_factory=dict[str, None])  # targets with an inbox
    tasks: list[ReadyTask] = field(default_factory=list[ReadyTask])
    # Instances whose queued activities are void: ended, or replaced.
    cancelled: dict[str, None] = field(default_factory=dict[str, None])
    changed: dict[str, None] = field(default_factory=dict[str, None])  # started, ended, purged
    due_at: int | None = None  # the earliest delayed message that was added
    notes: list[tuple[str, str, tuple[Any, ...]]] = field(
        default_factory=list[tuple[str, str, tuple[Any, ...]]]
    )
    set_aside: list[SetAside] = field(default_factory=list[SetAside])

    def note(self, instance_id: str, text: str, *values: object) -> None:
        """Keep one line for the log, to be written after the commit."""
        self.notes.append((instance_id, text, values))

    def delayed(self, due_at: int) -> None:
        """Remember that a delayed message was added."""
        self.due_at = due_at if self.due_at is None else min(self.due_at, due_at)

    def add(self, later: "Effects") -> None:
        """Take in what came after."""
        self.ready |= later.ready
        self.tasks += later.tasks
        self.cancelled |= later.cancelled
        self.changed |= later.changed
        self.notes += later.notes
        self.set_aside += later.set_aside
        if later.due_at is not None:
            self.delayed(later.due_at)
