"""A task hub's file that a property test writes step by step, with crashes around the commits."""

import itertools
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from durabletask.internal import orchestrator_service_pb2 as pb
from hypothesis import strategies as st

from local_runtime.scheduler.storage import history, instances, messages, turns
from local_runtime.scheduler.storage.effects import ReadyTask
from local_runtime.scheduler.storage.schema import MIGRATIONS
from local_runtime.scheduler.storage.transaction import Transaction

from .audit import rows_that_cannot_be

type Crash = Literal["", "before", "after"]

crashes: st.SearchStrategy[Crash] = st.sampled_from(["", "", "", "", "before", "after"])
rarely = st.sampled_from([False, False, False, True])


class _Killed(Exception):
    """The process dies before the commit."""


def open_quickly(path: Path) -> sqlite3.Connection:
    """Open a hub's file, or make one: what a disk keeps of it is not what is tried here."""
    is_new = not path.exists()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")
    for script in MIGRATIONS.values() if is_new else ():
        connection.executescript(script)
    return connection


class Driven:
    """The file, what a process knows beside it (the turns that workers hold), and the time."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "hub.db"
        self._keys = itertools.count(1)
        self.numbers = itertools.count(1)
        self.now = 1_000_000
        self.connection = open_quickly(self._path)
        self.turns: dict[str, turns.Turn] = {}
        self.tasks: list[ReadyTask] = []
        self.forget: Callable[[], None] = lambda: None

    def close(self) -> None:
        self.connection.close()
        self._folder.cleanup()

    def commit[T](self, step: Callable[[Transaction], T], crash: Crash = "") -> T | None:
        """Run one step; None when the process died before its commit."""
        self.now += 1
        tx = Transaction(
            self.connection, self.now, lambda: f"id{next(self.numbers)}", self._keys.__next__
        )
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            result = step(tx)
            if crash == "before":
                raise _Killed
        except _Killed:
            self.connection.execute("ROLLBACK")
            self.restart()
            return None
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        for ended in tx.effects.cancelled:  # as the dispatcher revokes what is leased
            self.turns.pop(ended, None)
        if crash == "after":
            self.restart()
        return result

    def restart(self) -> None:
        """What a new process finds: the file, and nothing else."""
        self.connection.close()
        self.connection = open_quickly(self._path)
        self.turns.clear()
        self.forget()

    def take_turn(self, instance_id: str) -> turns.Turn | None:
        """Return the turn that a worker holds, or hand one out."""
        if instance_id not in self.turns:
            turn = turns.load(self.connection, self.now, instance_id)
            if turn is None:
                return None
            self.turns[instance_id] = turn
        return self.turns[instance_id]

    def answer_turn(
        self, turn: turns.Turn, actions: list[pb.OrchestratorAction], crash: Crash = ""
    ) -> bool | None:
        """Complete a turn that was handed out, now or long ago."""
        if self.turns.get(turn.instance_id) is turn:
            del self.turns[turn.instance_id]
        response = pb.OrchestratorResponse(instanceId=turn.instance_id, actions=actions)
        return self.commit(lambda tx: turns.commit(tx, turn, response), crash)

    def deliver_due(self, seconds: int) -> None:
        self.now += seconds * 1_000_000
        self.commit(lambda tx: messages.deliver_due(tx))

    def find(self, instance_id: str) -> instances.Instance | None:
        return instances.find(self.connection, instance_id)

    def live(self, instance_id: str) -> instances.Instance | None:
        found = self.find(instance_id)
        return found if found is not None and not found.status.is_terminal else None

    def run(self, instance_id: str) -> tuple[str, int]:
        """Return what tells one start of an instance from the next of the same id."""
        (created_at,) = self.connection.execute(
            "SELECT created_at FROM instances WHERE instance_id = ?", (instance_id,)
        ).fetchone()
        return instance_id, created_at

    def recorded(self, instance_id: str) -> list[pb.HistoryEvent]:
        return [
            event for turn in history.read_turns(self.connection, instance_id) for event in turn
        ]

    def queued(self, target_id: str) -> list[pb.HistoryEvent]:
        return [found.event for found in messages.queued_events(self.connection, target_id)]

    def known(self, instance_id: str) -> list[pb.HistoryEvent]:
        """What an instance was told in this generation: read, and not yet read."""
        return self.recorded(instance_id) + self.queued(instance_id)

    def delayed(self, target_id: str) -> list[pb.HistoryEvent]:
        rows = self.connection.execute(
            "SELECT event FROM delayed WHERE target_id = ?", (target_id,)
        ).fetchall()
        return [pb.HistoryEvent.FromString(event) for (event,) in rows]

    def check(self) -> None:
        """What holds for every file: see audit."""
        assert rows_that_cannot_be(self.connection) == []
