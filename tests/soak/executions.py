"""Each run of each activity, as it was noted while it ran, held against what is recorded of it."""

import json
import math
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from durabletask import history

_COMMIT_SECONDS = 1.0  # from the moment that an event bears until it is surely on disk
_HOLDING_BACK = ("worker stopped", "host stopped", "connection stalled")
_SLACK = 0.001  # histories keep microseconds
# Why something may have run again; where several things happened meanwhile the first one counts.
REASONS = (
    *("worker killed", "host killed", "worker stopped", "host stopped"),
    *("scheduler killed", "scheduler stopped", "connection stalled", "connection cut"),
    *("connection cut after some bytes", "connection refused", "stream cut", "connection bad"),
    *("completion refused or lost", "completion late", "connection slow"),
)


@dataclass(frozen=True)
class Execution:
    """One run of an activity: by whom, and from when to when; None where it never ended."""

    key: str  # instance and task
    who: str
    began: float
    ended: float | None = None


@dataclass(frozen=True)
class Record:
    """What a history says of a task: when it was scheduled, and when its result was recorded.

    `again` is when a further attempt under the same number was scheduled that has no result.
    """

    scheduled: float
    done: float
    again: float = math.inf


@dataclass(frozen=True)
class Trouble:
    """Something that was done to a process or connection, from when to when; to whom."""

    what: str
    began: float
    ended: float
    who: str = ""  # empty for what meets everybody


@dataclass
class Verdict:
    """What came of holding one against the other."""

    faults: list[str] = field(default_factory=list)
    tasks: int = 0
    executions: int = 0
    repeated: int = 0  # recorded steps that ran again
    beyond_one: Counter[str] = field(default_factory=Counter)  # by reason


def note(file: str, key: str, who: str, what: str) -> None:
    """Write down that a run of an activity begins or ends; whole even if the process dies next."""
    line = json.dumps({"key": key, "who": who, "pid": os.getpid(), "what": what, "at": now()})
    writing = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(writing, line.encode() + b"\n")
    os.close(writing)


def now() -> float:
    """Return the time as all processes of the machine read it, in seconds."""
    return time.time_ns() / 1e9


def read(file: Path) -> list[Execution]:
    """Return the runs that were noted in a file, in the order they began."""
    found: list[Execution] = []
    open_runs: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for line in file.read_text().splitlines() if file.exists() else []:
        entry = json.loads(line)
        run = (entry["key"], entry["pid"])
        if entry["what"] == "begin":
            open_runs[run].append(len(found))
            found.append(Execution(entry["key"], entry["who"], entry["at"]))
        elif open_runs[run]:
            at = open_runs[run].pop(0)
            found[at] = Execution(found[at].key, found[at].who, found[at].began, entry["at"])
    return sorted(found, key=lambda one: one.began)


def records(instance_id: str, events: Iterable[history.HistoryEvent]) -> dict[str, Record]:
    """Return the tasks of a history that have a result."""
    scheduled: dict[int, float] = {}
    found: dict[str, Record] = {}
    for event in events:
        at = event.timestamp.timestamp()
        match event:
            case history.TaskScheduledEvent():
                scheduled[event.event_id] = at
                key = f"{instance_id}/{event.event_id}"
                if key in found:
                    found[key] = replace(found[key], again=at)
            case history.TaskCompletedEvent() | history.TaskFailedEvent():
                task_id = event.task_scheduled_id
                found[f"{instance_id}/{task_id}"] = Record(scheduled.get(task_id, at), at)
            case _:
                pass
    return found


def judge(
    executions: Iterable[Execution], known: Mapping[str, Record], troubles: Iterable[Trouble]
) -> Verdict:
    """Find recorded steps that ran again or never ran, and a reason for each further run."""
    judging = _Judging(list(troubles), Verdict(tasks=len(known)))
    runs: defaultdict[str, list[Execution]] = defaultdict(list)
    for one in executions:
        record = known.get(one.key)
        # A task of an earlier generation may have had the same number.
        if record is not None and record.scheduled - _SLACK <= one.began < record.again:
            runs[one.key].append(one)
    for key, record in known.items():
        judging.judge_task(key, record, runs[key])
    return judging.verdict


@dataclass
class _Judging:
    troubles: list[Trouble]
    verdict: Verdict

    def judge_task(self, key: str, record: Record, runs: list[Execution]) -> None:
        self.verdict.executions += len(runs)
        if not runs or runs[0].began > record.done + _SLACK:
            self.verdict.faults.append(f"{key} has a result and did not run before it")
        recorded = self._surely_recorded(record.done) if len(runs) > 1 else record.done
        for before, after in pairwise(runs):
            if after.began > recorded:
                self._judge_late(key, recorded, after)
            else:
                self._judge_further(key, before, after)

    def _surely_recorded(self, done: float) -> float:
        """When a result was on disk: a scheduler that is stopped meanwhile takes longer."""
        recorded = done + _COMMIT_SECONDS
        for trouble in self.troubles:
            if trouble.what == "scheduler stopped" and trouble.began <= recorded <= trouble.ended:
                recorded = trouble.ended + _COMMIT_SECONDS
        return recorded

    def _judge_late(self, key: str, recorded: float, run: Execution) -> None:
        """Judge a run after the record: only what was on its way before may come then."""
        for trouble in self.troubles:
            holds_back = trouble.what in _HOLDING_BACK and trouble.who == run.who
            let_go = trouble.ended + _COMMIT_SECONDS
            if holds_back and trouble.began <= recorded <= let_go and run.began <= let_go:
                self.verdict.beyond_one[f"{trouble.what}, and the work was already there"] += 1
                return
        self.verdict.repeated += 1
        self.verdict.faults.append(
            f"{key} ran again on {run.who} {run.began - recorded:.2f} s after it was recorded"
        )

    def _judge_further(self, key: str, before: Execution, after: Execution) -> None:
        """Find out why what ran before did not count, or not soon enough."""
        since = before.began - _SLACK
        reasons = {
            trouble.what
            for trouble in self.troubles
            if trouble.who in ("", before.who)
            and trouble.ended >= since
            and trouble.began <= after.began + _SLACK
        }
        if not reasons:
            self.verdict.faults.append(
                f"{key} ran on {before.who} and again on {after.who}"
                f" {after.began - before.began:.2f} s later without a reason"
            )
        self.verdict.beyond_one[min(reasons, key=REASONS.index, default="no reason")] += 1
