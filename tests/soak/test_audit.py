"""The audit of the soak finds what it is there to find: doctored files, histories and outcomes."""

import contextlib
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from durabletask import client, history
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.clock import VirtualClock
from local_runtime.scheduler.client import SchedulerClient
from tests.scheduler.conftest import START, Actions, Hub, running
from tests.soak.audit import entity_faults, outcome_faults, outstanding, stored_faults
from tests.soak.history_audit import history_faults
from tests.soak.ledger import Bounds, Instance, Ledger

AT = datetime(2026, 1, 1, tzinfo=UTC)
STARTED = history.OrchestratorStartedEvent(-1, AT)
ENDED = history.OrchestratorCompletedEvent(-1, AT)
BEGINNING = [STARTED, history.ExecutionStartedEvent(-1, AT, "flow")]
COMPLETED = history.ExecutionCompletedEvent(-1, AT, pb.ORCHESTRATION_STATUS_COMPLETED)
TASK = history.TaskScheduledEvent(1, AT, "step")
DONE = history.TaskCompletedEvent(-1, AT, 1)
FAILED = history.TaskFailedEvent(-1, AT, 1)
TIMER = history.TimerCreatedEvent(2, AT, AT)
FIRED = history.TimerFiredEvent(-1, AT, AT, 2)
CHILD = history.SubOrchestrationInstanceCreatedEvent(3, AT, "child", "flow")
CHILD_DONE = history.SubOrchestrationInstanceCompletedEvent(-1, AT, 3)
END = [ENDED, COMPLETED]


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """The file of a hub with one instance, `wf`, that ran an activity and completed."""
    clock = VirtualClock(START)
    async with (
        running(tmp_path, clock) as address,
        SchedulerClient.open(address, "default") as opened,
    ):
        hub = Hub(opened, clock)
        worker = hub.worker()
        await worker.connect()
        await hub.start()
        await worker.answer_turn(await worker.next(), Actions.task(1))
        await worker.answer_activity(await worker.next(), '"done"')
        await worker.answer_turn(await worker.next(), Actions.complete())
        await hub.wait()
    return tmp_path / "default.taskhub.db"


def doctor(file: Path, statement: str, *values: object) -> None:
    """Change a row, so that not even its checksum tells."""
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1
        connection.execute("UPDATE history SET checksum = NULL")
        connection.execute("UPDATE instances SET progress_checksum = NULL")


def rewrite_last_turn(file: Path, twice: str) -> None:
    """Write an event of the last turn into it a second time, and count it."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        first, data = connection.execute(
            "SELECT first_event, events FROM history ORDER BY first_event DESC"
        ).fetchone()
    turn = pb.OrchestratorRequest.FromString(data)
    at = next(n for n, event in enumerate(turn.pastEvents) if event.HasField(twice))
    events = [*turn.pastEvents[: at + 1], *turn.pastEvents[at:]]
    data = pb.OrchestratorRequest(pastEvents=events).SerializeToString()
    doctor(
        file,
        "UPDATE history SET events = ?, event_count = event_count + 1 WHERE first_event = ?",
        data,
        first,
    )
    doctor(file, "UPDATE instances SET history_length = history_length + 1")


async def test_a_sound_file_has_no_faults(file: Path) -> None:
    assert stored_faults(file) == []


async def test_a_result_that_is_recorded_twice_is_found(file: Path) -> None:
    rewrite_last_turn(file, "taskCompleted")
    (fault,) = stored_faults(file)
    assert "TaskCompleted of 1, which is not outstanding" in fault


async def test_a_second_end_is_found(file: Path) -> None:
    rewrite_last_turn(file, "executionCompleted")
    assert any("after the end" in fault for fault in stored_faults(file))


async def test_a_lost_turn_is_found(file: Path) -> None:
    doctor(file, "DELETE FROM history WHERE first_event = 0")
    assert any("a gap in the history" in fault for fault in stored_faults(file))


async def test_what_is_left_over_is_found(file: Path) -> None:
    doctor(file, "INSERT INTO inbox VALUES (99, '@tally@a', x'', NULL)")
    doctor(file, "INSERT INTO delayed VALUES (99, 0, 'wf', NULL, x'', NULL)")
    doctor(file, "INSERT INTO entities VALUES ('@account@a', '1', 'wf', 'section', 0, NULL)")
    assert outstanding(file) == [
        "an event in the inbox of @tally@a",
        "a timer or message for wf",
        "a lock on @account@a",
    ]


@pytest.mark.parametrize(
    "events",
    [
        [*BEGINNING, TASK, ENDED, STARTED, DONE, *END],
        [*BEGINNING, TASK, ENDED, STARTED, FAILED, TASK, ENDED, STARTED, DONE, *END],
        [*BEGINNING, TASK, TIMER, CHILD, ENDED, STARTED, CHILD_DONE, FIRED, *END],
        [*BEGINNING, ENDED, STARTED, history.ExecutionRewoundEvent(-1, AT), STARTED, *END],
    ],
)
def test_sound_histories_have_no_faults(events: list[history.HistoryEvent]) -> None:
    assert history_faults("wf", "COMPLETED", events) == []


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ([*BEGINNING, TASK, ENDED, STARTED, DONE, DONE, *END], "TaskCompleted of 1, which"),
        ([*BEGINNING, TASK, ENDED, STARTED, FAILED, DONE, *END], "TaskCompleted of 1, which"),
        ([*BEGINNING, DONE, *END], "TaskCompleted of 1, which"),
        ([*BEGINNING, TASK, TASK, *END], "TaskScheduled 1 twice"),
        ([*BEGINNING, TIMER, ENDED, STARTED, FIRED, FIRED, *END], "TimerFired of 2, which"),
        ([*BEGINNING, CHILD, ENDED, STARTED, CHILD_DONE, CHILD_DONE, *END], "of 3, which"),
        ([*BEGINNING, STARTED, *END], "a turn began in another"),
        ([*BEGINNING, ENDED, *END], "a turn ended that had not begun"),
        ([*BEGINNING, ENDED, TASK, COMPLETED], "TaskScheduled outside of a turn"),
        ([*BEGINNING, *END, STARTED, ENDED], "OrchestratorStarted after the end"),
        ([*BEGINNING, *BEGINNING[1:], *END], "2 starts"),
        ([*BEGINNING, ENDED], "it ended as []"),
    ],
)
def test_what_cannot_be_in_a_history_is_found(
    events: list[history.HistoryEvent], fault: str
) -> None:
    assert fault in history_faults("wf", "COMPLETED", events)[0]


def state(
    instance_id: str,
    output: str = "1",
    ended: client.OrchestrationStatus = client.OrchestrationStatus.COMPLETED,
) -> client.OrchestrationState:
    return client.OrchestrationState(
        instance_id=instance_id,
        name="flow",
        runtime_status=ended,
        created_at=AT,
        last_updated_at=AT,
        serialized_input=None,
        serialized_output=output,
        serialized_custom_status=None,
        failure_details=None,
    )


def told(*instances: Instance, lost_restarts: int = 0) -> Ledger:
    return Ledger({i.instance_id: i for i in instances}, lost_restarts=lost_restarts)


def test_outcomes_that_were_foretold_are_no_faults() -> None:
    known = told(Instance("a", "chain", output=1), Instance("b", "chain", is_purged=True))
    assert outcome_faults(known, [state("a"), state("a:0001")]) == []
    assert outcome_faults(told(lost_restarts=1), [state("x"), state("x:0001")]) == []


@pytest.mark.parametrize(
    ("known", "states", "fault"),
    [
        (told(Instance("a", "chain")), [], "a is missing"),
        (told(Instance("a", "chain", output=2)), [state("a")], "a (chain) returned 1, and not 2"),
        (
            told(Instance("a", "chain", is_purged=True)),
            [state("a")],
            "a (chain) was purged and is there",
        ),
        (
            told(Instance("a", "chain")),
            [state("a", ended=client.OrchestrationStatus.FAILED)],
            "a (chain) is FAILED, and not COMPLETED: None",
        ),
        (
            told(Instance("a", "family")),
            [state("a"), state("a:0001", ended=client.OrchestrationStatus.RUNNING)],
            "a:0001 (child of family) is RUNNING, and not COMPLETED: None",
        ),
        (told(), [state("x"), state("y")], "nobody started ['x', 'y']; 0 may be"),
    ],
)
def test_an_outcome_that_was_not_foretold_is_found(
    known: Ledger, states: list[client.OrchestrationState], fault: str
) -> None:
    assert outcome_faults(known, states) == [fault]


@pytest.mark.parametrize(
    ("collected", "faults"),
    [
        ("[0, 1]", []),
        ("[0, 1, 1]", []),  # 1 was raised twice, for the first answer was lost
        ("[1]", ["event 0 came 0 times, and not 1 to 1"]),
        ("[0, 0, 1]", ["event 0 came 2 times, and not 1 to 1"]),
        ("[0, 1, 1, 1]", ["event 1 came 3 times, and not 1 to 2"]),
        ("[0, 1, 7]", ["event 7 was never sent"]),
        ("[1, 0]", ["the events came out of order: [1, 0]"]),
    ],
)
def test_each_event_is_counted(collected: str, faults: list[str]) -> None:
    events = {0: Bounds(1, 1), 1: Bounds(1, 2)}
    known = told(Instance("a", "collector", events=events, in_order=True))
    assert outcome_faults(known, [state("a", collected)]) == [f"a (collector): {f}" for f in faults]


def test_signals_and_transfers_are_counted() -> None:
    known = Ledger()
    known.tallies["t"].sent(1)
    known.tallies["t"].sent(2)
    assert entity_faults(known, {"t": 2}, {"a": 5, "b": -5}) == []
    assert entity_faults(known, {"t": 3}, {}) == []
    assert entity_faults(known, {"t": 1}, {}) == ["tally t is 1, and not 2 to 3"]
    assert entity_faults(known, {"t": 4}, {}) == ["tally t is 4, and not 2 to 3"]
    assert "do not add up" in entity_faults(known, {"t": 2}, {"a": 5, "b": -4})[0]
