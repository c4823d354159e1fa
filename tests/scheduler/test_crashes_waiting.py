"""SIGKILL while a message that waited for its time is delivered: it comes, and comes once."""

from datetime import UTC, timedelta

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp

from local_runtime.clock import SystemClock

from .conftest import Actions, stamp
from .killing import Victim, Worker, answers, edges

pytestmark = [pytest.mark.crash, pytest.mark.parametrize("fault", edges("delayed.half"))]

SOON = timedelta(milliseconds=300)


def sleeper(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    """Sets three timers for the same moment, and ends when all have fired."""
    if len(answers(events, "timerFired")) >= 3:
        return [Actions.complete()]
    due = events[0].timestamp.ToDatetime(UTC) + SOON
    return [Actions.timer(number, due) for number in (1, 2, 3)]


def short(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    return [Actions.complete()]


async def soon(victim: Victim) -> Timestamp:
    """A time shortly after the scheduler, which takes a while to start, has answered."""
    await victim.once("Hello", Empty())
    return stamp(SystemClock().now() + SOON)


async def signal_late(victim: Victim, operation: str) -> None:
    await victim.signal("@log@k", operation, scheduledTime=await soon(victim))


async def start_late(victim: Victim) -> None:
    await victim.start("wf", "short", scheduledStartTimestamp=await soon(victim))


async def test_a_timer_fires_once(victim: Victim, fault: str) -> None:
    async with (
        Worker(victim.client, {"sleeper": sleeper}).working(),
        victim.killed_at(fault, victim.start("wf", "sleeper")),
    ):
        await victim.finished("wf")
        fired = answers(await victim.history("wf"), "timerFired")
    assert [timer.timerId for timer in fired] == [1, 2, 3]


async def test_a_delayed_signal_is_applied_once(victim: Victim, fault: str) -> None:
    late = [signal_late(victim, f"late{number}") for number in range(3)]
    async with Worker(victim.client, {}).working(), victim.killed_at(fault, *late):
        await victim.applied("@log@k", lambda done: len(done) >= 3)
        await victim.signal("@log@k", "last")
        done = await victim.applied("@log@k", lambda done: "last" in done)
    assert sorted(done) == ["last", "late0", "late1", "late2"]


async def test_a_later_start_starts_once(victim: Victim, fault: str) -> None:
    async with (
        Worker(victim.client, {"short": short}).working(),
        victim.killed_at(fault, start_late(victim)),
    ):
        await victim.finished("wf")
        assert len(answers(await victim.history("wf"), "executionStarted")) == 1
