"""Shows in words how the runtime is: what `status` prints for a person."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from local_runtime.commands.status_command import RuntimeStatus, host_tasks

type Fact = Mapping[str, Any]


def show(status: RuntimeStatus, console: Console) -> None:
    """Print it."""
    if status.scheduler.found is not None:
        for hub in status.scheduler.found["hubs"]:
            _show_hub(hub, console)
        if not status.scheduler.found["hubs"]:
            console.print(Text("The scheduler runs and has no task hub yet."))
    if status.host.found is not None:
        console.print(Text(f"Functions host: {status.host.found['state']}", style="bold"))
        _show_tasks(host_tasks(status), console)
    for problem in status.problems:
        # On one line each, however long: somebody may look for it.
        console.print(Text(_one_line(f"problem: {problem}"), style="red"), soft_wrap=True)
    if not status.problems:
        console.print(Text("All is well.", style="green"))


def _show_hub(hub: Fact, console: Console) -> None:
    waiting = ", ".join(f"{number} {kind}" for kind, number in hub["waiting"].items() if number)
    console.print(Text(f"Task hub {hub['name']}: {waiting or 'nothing'} waiting", style="bold"))
    if hub["workers"]:
        _table(
            ("worker", "state", "holds", "last answer", "name"),
            (
                (
                    worker["number"],
                    worker["state"],
                    sum(worker["held"].values()),
                    _moment(worker["answeredAt"], "none yet"),
                    worker["name"],
                )
                for worker in hub["workers"]
            ),
            console,
        )
    else:
        console.print(Text("  no worker is connected"))
    _show_tasks(hub["backgroundTasks"], console)
    if hub["setAside"]:
        _table(
            ("set aside", "key", "for", "why"),
            ((row["what"], row["key"], row["targetId"], row["why"]) for row in hub["setAside"]),
            console,
        )
    if hub["troubles"]:
        _table(
            ("trouble at", "instance or entity", "what happened"),
            ((_moment(one["at"], ""), one["targetId"], one["text"]) for one in hub["troubles"]),
            console,
        )


def _show_tasks(tasks: Sequence[Fact], console: Console) -> None:
    if tasks:
        _table(
            ("background task", "state", "since", "failures", "last error"),
            (
                (
                    task["name"],
                    task["state"],
                    _moment(task["since"], ""),
                    task["failures"],
                    task["lastError"],
                )
                for task in tasks
            ),
            console,
        )


def _table(titles: Sequence[str], rows: Iterable[Sequence[object]], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for title in titles:
        table.add_column(title)
    for row in rows:
        # Text and not str: rich reads brackets in a str as markup.
        table.add_row(*(Text(_one_line(str(cell))) for cell in row))
    console.print(table)


def _moment(text: str | None, otherwise: str) -> str:
    return text.replace("T", " ").partition(".")[0].removesuffix("Z") if text else otherwise


def _one_line(text: str) -> str:
    """Return a text without what could steer a terminal: names are the workers' own."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
