"""Drives the embedded scheduler's own engine and storage by hand, with a worker in this process.

It does what the kit's host does, in the same order, but what follows from an answer is decided and
stored by the scheduler that Baton ships.
"""

import itertools
import json
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import azure.functions as func
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from durable_agents.testing.functions import ActivityError, AppFunctions
from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import Start
from local_runtime.scheduler.storage import (
    activities,
    controls,
    entities,
    history,
    instances,
    messages,
    turns,
)
from local_runtime.scheduler.storage.schema import MIGRATIONS
from local_runtime.scheduler.storage.transaction import Transaction


class Embedded:
    """A task hub in memory, and an app that works for it."""

    def __init__(self, app: func.FunctionRegister, now: datetime) -> None:
        self.now = events.micros(now)
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        for script in MIGRATIONS.values():
            self.connection.executescript(script)
        self._functions = AppFunctions(app)
        self._keys, self._ids = itertools.count(1), itertools.count(1)

    def commit[T](self, step: Callable[[Transaction], T]) -> T:
        tx = Transaction(
            self.connection, self.now, lambda: f"id{next(self._ids)}", self._keys.__next__
        )
        self.connection.execute("BEGIN IMMEDIATE")
        result = step(tx)
        self.connection.execute("COMMIT")
        return result

    async def start(self, name: str, given: Any, instance_id: str) -> None:
        started = pb.ExecutionStartedEvent(name=name, input=StringValue(value=json.dumps(given)))
        new = Start(instance_id, started)
        self.commit(lambda tx: instances.start(tx, new, set()))
        await self.settle()

    def raise_event(self, instance_id: str, name: str, data: Any) -> None:
        self.commit(lambda tx: controls.raise_event(tx, instance_id, name, json.dumps(data)))

    def terminate(self, instance_id: str) -> None:
        self.commit(lambda tx: controls.terminate(tx, instance_id, None, recurse=True))

    def suspend(self, instance_id: str) -> None:
        self.commit(lambda tx: controls.suspend(tx, instance_id, None))

    def resume(self, instance_id: str) -> None:
        self.commit(lambda tx: controls.resume(tx, instance_id, None))

    async def advance(self, duration: timedelta) -> None:
        end = self.now + int(duration.total_seconds() * 1_000_000)
        await self.settle()
        while (due := messages.next_due(self.connection)) is not None and due <= end:
            self.now = max(self.now, due)
            self.commit(lambda tx: messages.deliver_due(tx))
            await self.settle()
        self.now = end

    async def settle(self) -> None:
        while await self._step():
            pass

    async def _step(self) -> bool:
        tasks = list(activities.all_ready(self.connection))
        for task in tasks:
            response = await self._activity(pb.ActivityRequest.FromString(task.request))
            self.commit(lambda tx, t=task, r=response: activities.complete(tx, t, r))
        did_turns = [await self._turn(instance_id) for instance_id in self._instances()]
        targets = messages.all_targets(self.connection)
        did_batches = [await self._operate(one) for one in targets if messages.is_entity(one)]
        return bool(tasks) or any(did_turns) or any(did_batches)

    def _instances(self) -> list[str]:
        waiting = set(messages.all_targets(self.connection))
        rows = self.connection.execute("SELECT instance_id FROM instances ORDER BY rowid")
        return [found for (found,) in rows.fetchall() if found in waiting]

    async def _activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        given = request.input.value if request.HasField("input") else None
        try:
            result = await self._functions.activity(request.name, given)
        except ActivityError as error:
            return pb.ActivityResponse(failureDetails=error.details)
        return pb.ActivityResponse(result=events.text(result))

    async def _turn(self, instance_id: str) -> bool:
        turn = turns.load(self.connection, self.now, instance_id)
        if turn is None:
            return False
        request = pb.OrchestratorRequest.FromString(turn.request)
        response = await self._functions.turn(turn.name, request)
        return self.commit(lambda tx: turns.commit(tx, turn, response))

    async def _operate(self, entity_id: str) -> bool:
        batch = self.commit(lambda tx: entities.load(tx, entity_id))
        if batch is None:
            return False
        result = await self._functions.operations(pb.EntityRequest.FromString(batch.request))
        return self.commit(lambda tx: entities.commit(tx, batch, result))

    def status(self, instance_id: str) -> str:
        found = instances.find(self.connection, instance_id)
        assert found is not None
        return found.status.value.capitalize()

    def output(self, instance_id: str) -> Any:
        text = instances.output(self.connection, instance_id)
        return None if text is None else json.loads(text)

    def entity(self, entity_id: str) -> Any:
        state = entities.find(self.connection, entity_id).state
        return None if state is None else json.loads(state)

    def ids(self) -> list[str]:
        rows = self.connection.execute("SELECT instance_id FROM instances ORDER BY rowid")
        return [found for (found,) in rows.fetchall()]

    def history(self, instance_id: str) -> list[pb.HistoryEvent]:
        found = history.read_turns(self.connection, instance_id)
        return [event for turn in found for event in turn]
