"""`--watch` with timers: over all changes of an app, what is due runs, and runs once."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from storage_answers import until

from tests.service import Service, runtime

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
# Timers that are due at one second of the day each, so that a run says which one it was for.
APP = """
import os, threading
from pathlib import Path
import azure.functions as func

app = func.FunctionApp()
SIGNS = Path(os.environ["SIGNS"])

def add(name: str, schedule: str, work) -> None:
    def run(timer: func.TimerRequest) -> None:
        with (SIGNS / "runs").open("a") as runs:
            runs.write(name + "\\n")
        work()
    run.__name__ = name
    app.timer_trigger(arg_name="timer", schedule=schedule)(run)

def takes_long() -> None:
    # It ends while the process makes way for the next.
    while not (SIGNS / "loaded-long").exists():
        threading.Event().wait(0.02)
    threading.Event().wait(2)

for number, schedule in enumerate(os.environ["DUE"].split("|")):
    add(f"due_{number}", schedule, takes_long if number == 0 else lambda: None)
(SIGNS / "loaded-VERSION").touch()
"""


class Timers:
    """An app with timers, which is changed while they are due."""

    def __init__(self, service: Service, app: Path, signs: Path) -> None:
        self.service = service
        self.changes = 0
        self._app = app
        self._signs = signs

    def change(self, version: str) -> None:
        """Change the app, and wait until the changed one has taken over."""
        self.changes += 1
        (self._app / "function_app.py").write_text(APP.replace("VERSION", version))
        self.service.wait_for_log("the changed app has taken over", times=self.changes)

    def runs(self) -> Counter[str]:
        seen = self._signs / "runs"
        return Counter(seen.read_text().split() if seen.exists() else [])


def due_from(began: datetime) -> list[datetime]:
    return [began + number * SECOND for number in range(15)]


@pytest.fixture
def timers(tmp_path: Path) -> Iterator[Timers]:
    app, signs = tmp_path / "app", tmp_path / "signs"
    kept = app / ".local" / "host" / "timers" / "default"
    for folder in (kept, signs):
        folder.mkdir(parents=True)
    due = due_from(datetime.now(UTC).replace(microsecond=0) + 5 * SECOND)  # noqa: TID251
    for number, moment in enumerate(due):
        # As if they had run yesterday: what is due before the host has started is late, not lost.
        last, then = (moment - DAY).isoformat(), moment.isoformat()
        state = {"Last": last, "LastUpdated": last, "Next": then}
        (kept / f"due_{number}.json").write_text(json.dumps(state))
    (app / "function_app.py").write_text(APP)
    schedules = "|".join(f"{moment:%S %M %H} * * *" for moment in due)
    env = {"SIGNS": str(signs), "DUE": schedules, "TZ": "UTC"}
    env["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
    with runtime(app / ".local", app, env=env, options=["--watch"]) as service:
        yield Timers(service, app, signs)


def test_what_is_due_runs_once_over_all_changes_of_the_app(timers: Timers):
    names = {f"due_{number}" for number in range(15)}
    until(lambda: "due_0" in timers.runs())
    timers.change("long")
    while timers.runs().keys() != names:
        timers.change(f"number {timers.changes}")
    timers.change("last")

    assert timers.runs() == Counter(names)
