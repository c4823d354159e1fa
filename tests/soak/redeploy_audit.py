"""Holds what a churn has left against each other: histories, effects of tools, model requests."""

import contextlib
import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.storage import history
from tests.soak.changing_app import ChangingModel, turns_of

AGENTS = ("Lead", "Helper")


@dataclass
class Audit:
    """What was found."""

    instances: int = 0
    answers: int = 0
    tool_calls: int = 0
    requests: int = 0
    effects: int = 0
    wasted_effects: int = 0
    gone: Counter[str] = field(default_factory=Counter[str])
    faults: list[str] = field(default_factory=list[str])

    @property
    def wasted_requests(self) -> int:
        """How many model requests have no answer in a history."""
        return self.requests - self.answers

    def rows(self) -> dict[str, int]:
        """Return the figures by their names."""
        return {
            "histories audited": self.instances,
            "model answers recorded": self.answers,
            "model requests": self.requests,
            "model requests wasted": self.wasted_requests,
            "tool results recorded": self.tool_calls,
            "effects of tools": self.effects,
            "effects of calls that ran again": self.wasted_effects,
            **{f"told to the model: {text}": n for text, n in self.gone.items()},
            "faults": len(self.faults),
        }


@dataclass
class _Ended:
    """An activity with its result in a history."""

    name: str
    given: dict[str, Any]
    result: dict[str, Any]
    at: float


def audit(
    folder: Path, model: ChangingModel, started: Mapping[str, str], ends: Mapping[str, Any]
) -> Audit:
    """Audit the data of a runtime that has stopped.

    Args:
        folder: Where the effects are, and the runtime's data.
        model: What the model was asked.
        started: The instances of the runs, by name.
        ends: What the runs answered.
    """
    found = Audit(requests=len(model.asked))
    for name in started.keys() - ends.keys():
        found.faults.append(f"{name} is lost")
    for name, answer in ends.items():
        if answer.get("response") != f"Done: {name}.":
            found.faults.append(f"{name} answered {json.dumps(answer)[:300]}")
    requests = model.requests()
    ended: dict[str, float] = {}  # calls of tools by their keys
    for instance, events in _histories(folder / "data" / "default.taskhub.db"):
        found.instances += 1
        activities = _ended(events)
        answered = [one for one in activities if one.name in AGENTS]
        found.answers += len(answered)
        run = _run_of(answered)
        _hold_against(found, instance, run, answered, requests.get(run, {}))
        for one in activities:
            if "idempotency_key" in one.given:
                found.tool_calls += 1
                ended[one.given["idempotency_key"]] = one.at
                if one.result.get("is_error"):
                    found.gone[re.sub(r"\d+", "N", one.result["text"])[:80]] += 1
    _hold_effects(found, folder / "effects", ended)
    return found


def _hold_against(
    found: Audit, instance: str, run: str, answered: list[_Ended], asked: Mapping[int, Any]
) -> None:
    """Hold a run's answers against the requests: none came after its answer was recorded."""
    if answered and len(answered) != turns_of(run):
        found.faults.append(f"{instance}: {len(answered)} answers, and not {turns_of(run)}")
    for turn, one in enumerate(answered):
        late = [request for request in asked.get(turn, []) if request.began > one.at]
        if late:
            found.faults.append(f"{instance}: turn {turn} was asked for again though it had ended")
        if not asked.get(turn):
            found.faults.append(f"{instance}: turn {turn} was never asked for")


def _hold_effects(found: Audit, file: Path, ended: Mapping[str, float]) -> None:
    by_key: defaultdict[str, list[float]] = defaultdict(list)
    for _, name, key, at in map(json.loads, file.read_text().splitlines()):
        found.effects += 1
        by_key[key].append(at)
        if at > ended.get(key, float("inf")):
            found.faults.append(f"{name} ran again though its result was recorded")
    found.wasted_effects = found.effects - len(by_key)


def _run_of(answered: list[_Ended]) -> str:
    """Return the name of the run that answers belong to: the last one says it."""
    return answered[-1].result["text"].removeprefix("Done: ").rstrip(".") if answered else ""


def _histories(file: Path) -> list[tuple[str, list[pb.HistoryEvent]]]:
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT instance_id FROM instances").fetchall()
        return [
            (one, [event for turn in history.read_turns(connection, one) for event in turn])
            for (one,) in rows
        ]


def _ended(events: list[pb.HistoryEvent]) -> list[_Ended]:
    """Return the activities that have a result, in the order in which they were called."""
    called = {one.eventId: one.taskScheduled for one in events if one.HasField("taskScheduled")}
    found: dict[int, _Ended] = {}
    for event in events:
        if event.HasField("taskCompleted"):
            id = event.taskCompleted.taskScheduledId
            given, result = called[id].input.value, event.taskCompleted.result.value
            at = event.timestamp.ToNanoseconds() / 1e9
            found[id] = _Ended(called[id].name, _object(given), _object(result), at)
    return [found[id] for id in sorted(found)]


def _object(text: str) -> dict[str, Any]:
    data: Any = json.loads(text or "{}")
    return data.get("__data__", data)  # where the SDK has put its type beside it
