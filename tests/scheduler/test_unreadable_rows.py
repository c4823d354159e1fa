"""A row of a hub's file that cannot be read stops nobody else: it is named, and set aside."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.clock import VirtualClock

from .conftest import Actions, Hub, Scheduler, Worker, stamp

DAY = timedelta(days=1)
NOT_UTF8 = "CAST(x'ff41' AS TEXT)"

# What a bit that has flipped, or a copy that went wrong, leaves in a row that is due.
DELAYED = {
    "bytes that are no event": "UPDATE delayed SET event = x'ffff' WHERE target_id = 'broken'",
    "an event of no kind": "UPDATE delayed SET event = x'' WHERE target_id = 'broken'",
    "a target that is no text": f"UPDATE delayed SET target_id = {NOT_UTF8}"
    " WHERE target_id = 'broken'",
    "a target that cannot be": "UPDATE delayed SET target_id = '@broken'"
    " WHERE target_id = 'broken'",
    "a generation that is no text": f"UPDATE delayed SET execution_id = {NOT_UTF8}"
    " WHERE target_id = 'broken'",
    "an instance that cannot be read": f"UPDATE instances SET execution_id = {NOT_UTF8}"
    " WHERE instance_id = 'broken'",
    "no event, and a time before all times": "UPDATE delayed SET event = x'ffff',"
    " due_at = -9223372036854775807 WHERE target_id = 'broken'",
    "a time after all times": "UPDATE delayed SET due_at = 4000000000000000000"
    " WHERE target_id = 'broken'",
    "a row that the file refuses": "CREATE TRIGGER refused BEFORE INSERT ON inbox"
    " WHEN new.target_id = 'broken' BEGIN SELECT raise(ABORT, 'no'); END",
}


def change(folder: Path, statement: str, hub: str = "default") -> None:
    """Change the file of a stopped hub."""
    with contextlib.closing(sqlite3.connect(folder / f"{hub}.taskhub.db")) as connection:
        connection.execute(statement)
        connection.commit()


def delayed_rows(folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(folder / "default.taskhub.db")) as connection:
        return connection.execute("SELECT count(*) FROM delayed").fetchone()[0]


async def later(hub: Hub, *ids: str, days: int = 1) -> None:
    """Start instances that begin in some days."""
    for instance_id in ids:
        await hub.start(instance_id, scheduledStartTimestamp=stamp(hub.clock.now() + days * DAY))


async def begun(hub: Hub, count: int) -> set[str]:
    """The instances that a worker is given."""
    worker = hub.worker()
    await worker.connect()
    found = {(await worker.next()).orchestratorRequest.instanceId for _ in range(count)}
    await worker.lose()
    return found


@contextlib.asynccontextmanager
async def changed(scheduler: Scheduler, *statements: str) -> AsyncIterator[Hub]:
    """A hub whose file was changed while its scheduler was stopped."""
    await scheduler.stop()
    for statement in statements:
        change(scheduler.folder, statement)
    await scheduler.start()
    yield await scheduler.hub()


@pytest.mark.parametrize("statement", DELAYED.values(), ids=DELAYED)
async def test_an_unreadable_delayed_message_holds_up_no_other(scheduler, clock, statement) -> None:
    await later(await scheduler.hub(), "before", "broken", "after")
    async with changed(scheduler, statement) as hub:
        await clock.advance(2 * DAY)
        assert await begun(hub, 2) == {"before", "after"}
        # Nor does it hold up those that are set later, for its timers have gone on.
        await later(hub, "new")
        await clock.advance(2 * DAY)
        assert "new" in await begun(hub, 3)


async def test_an_unreadable_delayed_message_is_kept_and_named_once(
    scheduler: Scheduler, clock: VirtualClock, caplog
) -> None:
    await later(await scheduler.hub(), "broken", "after")
    async with changed(scheduler, DELAYED["bytes that are no event"]) as hub:
        await clock.advance(2 * DAY)
        await begun(hub, 1)
    async with changed(scheduler) as hub:
        await later(hub, "new")
        await clock.advance(2 * DAY)
        await begun(hub, 2)
    named = [r.getMessage() for r in caplog.records if "is damaged" in r.getMessage()]
    assert len(named) == 1
    assert "broken: its data in the table delayed" in named[0]
    await scheduler.stop()
    assert delayed_rows(scheduler.folder) == 1
    await scheduler.start()


async def test_who_lost_a_message_is_shown_as_failed_after_each_start(
    scheduler: Scheduler, clock: VirtualClock
) -> None:
    await later(await scheduler.hub(), "broken", "after")
    async with changed(scheduler, DELAYED["bytes that are no event"]) as hub:
        await clock.advance(2 * DAY)
        await begun(hub, 1)
    async with changed(scheduler) as hub:
        shown = (await hub.get("broken")).orchestrationState
        assert shown.failureDetails.errorType == "DamagedData"
        await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="broken"))
        assert await hub.status("broken") == "TERMINATED"


async def test_many_unreadable_messages_hold_up_nobody(scheduler, clock) -> None:
    await later(await scheduler.hub(), *(f"broken{number}" for number in range(600)))
    await later(await scheduler.hub(), "after", days=2)
    statement = "UPDATE delayed SET event = x'ffff' WHERE target_id LIKE 'broken%'"
    async with changed(scheduler, statement) as hub:
        await clock.advance(3 * DAY)
        assert await begun(hub, 1) == {"after"}


async def test_a_purged_instance_takes_its_unreadable_message_with_it(scheduler, clock) -> None:
    await later(await scheduler.hub(), "broken", "after")
    async with changed(scheduler, DELAYED["bytes that are no event"]) as hub:
        await clock.advance(2 * DAY)
        await begun(hub, 1)
        await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="broken"))
    await scheduler.stop()
    assert delayed_rows(scheduler.folder) == 0
    await scheduler.start()


INBOX = {
    "a target that is no text": f"UPDATE inbox SET target_id = {NOT_UTF8}"
    " WHERE target_id = 'broken'",
    "bytes that are no event": "UPDATE inbox SET event = x'ffff' WHERE target_id = 'broken'",
    "an instance that is no text": f"UPDATE instances SET execution_id = {NOT_UTF8}"
    " WHERE instance_id = 'broken'",
    "an instance of no sense": "UPDATE instances SET started = x'ffff'"
    " WHERE instance_id = 'broken'",
}


@pytest.mark.parametrize("statement", INBOX.values(), ids=INBOX)
async def test_an_unreadable_event_keeps_nobody_elses_work_back(
    scheduler: Scheduler, statement: str, caplog
) -> None:
    hub = await scheduler.hub()
    for instance_id in ("broken", "sound"):
        await hub.start(instance_id)
    async with changed(scheduler, statement) as hub:
        assert await begun(hub, 1) == {"sound"}
        await hub.start("new")
        assert "new" in await begun(hub, 2)
    told = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert len(told) == 1
    assert "its data in the table" in told[0]


ACTIVITIES = {
    "bytes that are no request": "UPDATE tasks SET request = x'ffff' WHERE instance_id = 'broken'",
    "an instance that is no text": f"UPDATE tasks SET instance_id = {NOT_UTF8}"
    " WHERE instance_id = 'broken'",
    "a generation that is no text": f"UPDATE tasks SET execution_id = {NOT_UTF8}"
    " WHERE instance_id = 'broken'",
}


@pytest.mark.parametrize("statement", ACTIVITIES.values(), ids=ACTIVITIES)
async def test_an_unreadable_activity_does_not_keep_a_hub_from_opening(
    scheduler: Scheduler, statement: str, caplog
) -> None:
    hub = await scheduler.hub()
    worker = hub.worker()
    await worker.connect()
    for instance_id in ("broken", "sound"):
        await hub.start(instance_id)
        await worker.answer_turn(await worker.next(), Actions.task(0))
        await worker.next()
    async with changed(scheduler, statement) as hub:
        worker = hub.worker()
        await worker.connect()
        assert (await worker.next()).activityRequest.orchestrationInstance.instanceId == "sound"
        assert await worker.nothing_comes()
    assert any("its data in the table tasks" in line for line in caplog.messages)


@pytest.fixture
async def keeping(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Scheduler]:
    """A scheduler that keeps what has ended for ten days."""
    scheduler = Scheduler(tmp_path / "data", clock, retention=10 * DAY)
    await scheduler.start()
    yield scheduler
    await scheduler.stop()


async def ended(hub: Hub, worker: Worker, instance_id: str) -> None:
    await hub.start(instance_id)
    await worker.answer_turn(await worker.next(), Actions.complete())
    await hub.wait(instance_id)


EXPIRED = {
    "an id that is no text": f"UPDATE instances SET instance_id = {NOT_UTF8}"
    " WHERE instance_id = 'broken'",
    "a row that the file does not let go": "CREATE TRIGGER kept BEFORE DELETE ON instances"
    " WHEN old.instance_id = 'broken' BEGIN SELECT raise(ABORT, 'no'); END",
}


@pytest.mark.parametrize("statement", EXPIRED.values(), ids=EXPIRED)
async def test_an_instance_that_cannot_be_deleted_keeps_no_other(
    keeping: Scheduler, clock: VirtualClock, statement: str, caplog
) -> None:
    hub = await keeping.hub()
    worker = hub.worker()
    await worker.connect()
    for instance_id in ("broken", "old"):
        await ended(hub, worker, instance_id)
    async with changed(keeping, statement) as hub:
        await clock.advance(11 * DAY)
        while (await hub.get("old")).exists:
            await clock.advance(timedelta(hours=1))
        # What comes after it is deleted too, in a later hour.
        worker = hub.worker()
        await worker.connect()
        await ended(hub, worker, "next")
        await clock.advance(11 * DAY)
        while (await hub.get("next")).exists:
            await clock.advance(timedelta(hours=1))
    named = [r.getMessage() for r in caplog.records if "cannot be deleted" in r.getMessage()]
    assert len(named) == 1
