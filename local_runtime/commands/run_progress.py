"""Shows how a run comes along: a live table in a terminal, plain lines anywhere else."""

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Protocol, assert_never

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from local_runtime.clock import Clock
from local_runtime.commands.run_steps import Step, StepState


class Progress(Protocol):
    """Shows the steps of a run; `update` may be called with the same steps again."""

    def __enter__(self) -> "Progress":
        """Begin to show."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last state on the screen."""
        ...

    def update(self, status: str, steps: Sequence[Step]) -> None:
        """Show the status of the orchestration and all its steps so far."""
        ...


def progress_on(console: Console, title: str, clock: Clock) -> Progress:
    """Return the way of showing that suits the console."""
    return LiveTable(console, title, clock) if console.is_terminal else PlainLines(console, title)


class LiveTable:
    """One table, redrawn as the run goes on."""

    def __init__(self, console: Console, title: str, clock: Clock) -> None:
        self._title = title
        self._clock = clock
        self._status = "starting"
        self._steps: Sequence[Step] = ()
        self._live = Live(
            console=console, get_renderable=self._table, refresh_per_second=8, transient=False
        )

    def __enter__(self) -> "LiveTable":
        """Begin to show."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last state on the screen."""
        self._live.stop()

    def update(self, status: str, steps: Sequence[Step]) -> None:
        """Show the status of the orchestration and all its steps so far."""
        self._status, self._steps = status, tuple(steps)
        self._live.refresh()

    def _table(self) -> Group:
        # Text and not str: names come from the app, and rich reads brackets in a str as markup.
        table = Table(box=box.SIMPLE_HEAD)
        table.add_column("step")
        table.add_column("state")
        table.add_column("time", justify="right")
        now = self._clock.now()
        for step in self._steps:
            style = _style(step.state)
            table.add_row(
                Text(step.name), Text(step.state.value, style=style), f"{step.seconds(now):.1f} s"
            )
        return Group(Text(f"{self._title}: {self._status}", style="bold"), table)


class PlainLines:
    """One line for each step that begins or ends."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._status = ""
        self._said: set[tuple[str, datetime, StepState]] = set()

    def __enter__(self) -> "PlainLines":
        """Begin to show."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last state on the screen."""

    def update(self, status: str, steps: Sequence[Step]) -> None:
        """Say what is new since the last time."""
        for step in steps:
            self._say_once(step)
        if status != self._status:
            self._status = status
            self._say(f"{self._title}: {status}")

    def _say_once(self, step: Step) -> None:
        begun = (step.name, step.started_at, StepState.RUNNING)
        if begun not in self._said:
            self._said.add(begun)
            self._say(f"  {step.name}: running")
        now = (step.name, step.started_at, step.state)
        if now not in self._said and step.ended_at is not None:
            self._said.add(now)
            self._say(f"  {step.name}: {step.state.value} ({step.seconds(step.ended_at):.2f} s)")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _style(state: StepState) -> str:
    match state:
        case StepState.RUNNING:
            return "yellow"
        case StepState.COMPLETED:
            return "green"
        case StepState.FAILED:
            return "red"
        case _:
            assert_never(state)
