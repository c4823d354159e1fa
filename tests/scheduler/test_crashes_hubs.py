"""SIGKILL while a task hub is made, deleted, or brought up to date: it is whole, or not there."""

import contextlib
import sqlite3

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.storage.database import open_writer
from local_runtime.scheduler.storage.schema import MIGRATIONS, SCHEMA_VERSION

from .conftest import Actions
from .killing import Victim, Worker

pytestmark = pytest.mark.crash

DELETE = pb.DeleteTaskHubRequest()
CREATE = pb.CreateTaskHubRequest()
RECREATE = pb.CreateTaskHubRequest(recreateIfExists=True)
MADE = ["migration.half:1", "migration.half:2", "log.half:1"]
DELETED = ["hub.delete:1", "hub.delete:2", "hub.delete:3"]


def short(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    return [Actions.complete()]


async def check_it_works(victim: Victim, instance_id: str) -> None:
    async with Worker(victim.client, {"short": short}).working():
        await victim.start(instance_id, "short")
        await victim.finished(instance_id)


@pytest.mark.parametrize("fault", MADE)
async def test_a_hub_that_is_made(victim: Victim, fault: str) -> None:
    async with victim.killed_at(fault, victim.insist("CreateTaskHub", CREATE)):
        await check_it_works(victim, "wf")


@pytest.mark.parametrize("fault", MADE)
async def test_a_hub_that_is_made_by_its_first_use(victim: Victim, fault: str) -> None:
    async with victim.killed_at(fault, victim.start("first", "short")):
        await check_it_works(victim, "wf")
        assert await victim.status("first") == "COMPLETED"


async def prepare(victim: Victim) -> None:
    """Leave a hub with instances in it, and a log that has not been moved into the file."""
    async with victim.running():
        for number in range(20):
            await victim.start(f"old{number}", "short")


@pytest.mark.parametrize("method", ["DeleteTaskHub", "CreateTaskHub"])
@pytest.mark.parametrize("fault", DELETED)
async def test_a_hub_that_is_deleted(victim: Victim, fault: str, method: str) -> None:
    await prepare(victim)
    request = DELETE if method == "DeleteTaskHub" else RECREATE
    # Somebody else looks into the file, so that its log is there to be deleted as well.
    with contextlib.closing(sqlite3.connect(victim.file)) as other:
        assert other.execute("SELECT count(*) FROM instances").fetchone() == (20,)
        async with victim.killed_at(fault, victim.insist(method, request)):
            assert await victim.status("old1") == "GONE"
            await check_it_works(victim, "wf")
            found = await victim.once("QueryInstances", pb.QueryInstancesRequest())
            assert [state.instanceId for state in found.orchestrationState] == ["wf"]


@pytest.mark.parametrize("fault", DELETED)
async def test_a_deletion_that_nobody_asks_for_again(victim: Victim, fault: str) -> None:
    await prepare(victim)
    with contextlib.closing(sqlite3.connect(victim.file)) as other:
        other.execute("SELECT count(*) FROM instances").fetchone()
        await victim.dies_of(fault, "DeleteTaskHub", DELETE)
        async with victim.running():
            # Killed at the first point, nothing of it had been deleted.
            kept = fault == "hub.delete:1" and not victim.has_done(fault)
            assert await victim.status("old1") == ("PENDING" if kept else "GONE")
            await check_it_works(victim, "wf")


async def test_a_file_that_is_brought_up_to_date(victim: Victim) -> None:
    victim.data.mkdir()
    old = sqlite3.connect(victim.file, isolation_level=None)
    old.executescript(f"{MIGRATIONS[1]}\nPRAGMA user_version = 1;")
    old.execute(
        "INSERT INTO instances (instance_id, execution_id, name, status, started, created_at,"
        " updated_at) VALUES ('wf', 'e', 'short', 'PENDING', x'', 1, 1)"
    )
    old.close()
    async with victim.killed_at("migration.half"):
        assert await victim.status("wf") == "PENDING"
    connection = open_writer(victim.file, "full")
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
