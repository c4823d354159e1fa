"""Starts the parts of the runtime, and stops all of them at its end."""

from types import TracebackType
from typing import Protocol

from local_runtime.processes.kept_part import Facts, KeptPart, Part


class Stoppable(Protocol):
    """Something that runs and can be stopped."""

    async def stop(self) -> None:
        """Stop it, and return when it has stopped."""


class Supervisor:
    """Starts parts, restarts those that die, and stops all of them at its end."""

    def __init__(self) -> None:
        self._kept: list[Stoppable] = []

    async def __aenter__(self) -> "Supervisor":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # One after the other, the last first: the host gives its work back to the scheduler.
        for kept in reversed(self._kept):
            await kept.stop()

    async def start(self, part: Part) -> Facts:
        """Start a part, and return what it reports once it is ready.

        Raises:
            StartupError: It cannot start; the message is its own.
        """
        kept = KeptPart(part)
        self.keep(kept)
        facts = await kept.start()
        kept.begin()
        return facts

    def keep(self, running: Stoppable) -> None:
        """Stop something else at the end as well, before what was there already."""
        self._kept.append(running)
