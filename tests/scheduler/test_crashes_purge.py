"""SIGKILL while instances are deleted: none is deleted half, and the same call deletes the rest."""

import sqlite3

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from .conftest import Actions
from .killing import Victim, Worker, answers, edges

pytestmark = pytest.mark.crash

CHILDREN = ["child0", "child1", "child2"]
MEBIBYTE = 1024 * 1024
FILTER = pb.PurgeInstancesRequest(purgeInstanceFilter=pb.PurgeInstanceFilter())


def short(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    return [Actions.complete()]


def waiting(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    return []


def parent(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    children = [
        Actions.child(number, "short", child_id)
        for number, child_id in enumerate(CHILDREN, start=1)
    ]
    done = answers(events, "subOrchestrationInstanceCompleted")
    return [*children, *([Actions.complete()] if len(done) == len(CHILDREN) else [])]


FLOWS = {"short": short, "waiting": waiting, "parent": parent}


async def prepare(victim: Victim, name: str, *ids: str, **fields: object) -> None:
    """Let instances run to their end, and leave one behind that does not end."""
    async with victim.running(), Worker(victim.client, FLOWS).working():
        await victim.start("live", "waiting")
        for instance_id in ids:
            await victim.start(instance_id, name, **fields)
        for instance_id in ids:
            await victim.finished(instance_id)


def left(victim: Victim) -> set[str]:
    connection = sqlite3.connect(victim.file)
    found = {name for (name,) in connection.execute("SELECT instance_id FROM instances")}
    connection.close()
    return found


@pytest.mark.parametrize("fault", edges("delete.half"))
async def test_one_instance(victim: Victim, fault: str) -> None:
    await prepare(victim, "short", "wf")
    request = pb.PurgeInstancesRequest(instanceId="wf")
    async with victim.killed_at(fault, victim.insist("PurgeInstances", request)):
        assert (await victim.once("PurgeInstances", request)).deletedInstanceCount == 0
    assert left(victim) == {"live"}


@pytest.mark.parametrize("fault", edges("delete.half"))
async def test_an_entity(victim: Victim, fault: str) -> None:
    async with victim.running(), Worker(victim.client, {}).working():
        await victim.insist("SignalEntity", pb.SignalEntityRequest(instanceId="@e@a", name="go"))
        assert await victim.applied("@e@a", bool) == ["go"]
    request = pb.PurgeInstancesRequest(instanceId="@e@a")
    async with victim.killed_at(fault, victim.insist("PurgeInstances", request)):
        found = await victim.once("GetEntity", pb.GetEntityRequest(instanceId="@e@a"))
        assert not found.exists


@pytest.mark.parametrize("fault", edges("delete.half:2"))
async def test_an_instance_with_its_children(victim: Victim, fault: str) -> None:
    await prepare(victim, "parent", "wf")
    request = pb.PurgeInstancesRequest(instanceId="wf", recursive=True)
    await victim.dies_of(fault, "PurgeInstances", request)
    whole = {"live", "wf", *CHILDREN}
    assert left(victim) == ({"live"} if victim.has_done(fault) else whole)
    async with victim.running():
        await victim.insist("PurgeInstances", request)
    assert left(victim) == {"live"}


@pytest.mark.parametrize("fault", edges("delete.half:3", "delete.half:230"))
async def test_all_that_have_ended(victim: Victim, fault: str) -> None:
    await prepare(victim, "short", *[f"wf{number}" for number in range(250)])
    async with victim.killed_at(fault, victim.insist("PurgeInstances", FILTER)) as (purged,):
        assert purged.isComplete.value
        assert (await victim.once("PurgeInstances", FILTER)).deletedInstanceCount == 0
        assert await victim.status("live") == "RUNNING"
    assert left(victim) == {"live"}


@pytest.mark.parametrize("fault", edges("delete.half:2"))
async def test_those_of_a_list(victim: Victim, fault: str) -> None:
    await prepare(victim, "short", "wf0", "wf1", "wf2")
    batch = pb.InstanceBatch(instanceIds=["wf0", "wf1", "wf2", "live"])
    request = pb.PurgeInstancesRequest(instanceBatch=batch)
    async with victim.killed_at(fault, victim.insist("PurgeInstances", request)):
        pass
    assert left(victim) == {"live"}


@pytest.mark.parametrize("fault", edges("delete.half:2"))
async def test_those_that_are_older_than_they_are_kept(victim: Victim, fault: str) -> None:
    await prepare(victim, "short", "wf0", "wf1", "wf2")
    victim.options = ["--retention-days", "0.000001"]
    async with victim.killed_at(fault):
        for instance_id in ("wf0", "wf1", "wf2"):
            while await victim.status(instance_id) != "GONE":
                pass
        assert await victim.status("live") == "RUNNING"


@pytest.mark.parametrize("fault", edges("vacuum.half", "vacuum.half:3"))
async def test_the_file_that_gives_space_back(victim: Victim, fault: str) -> None:
    large = StringValue(value="x" * MEBIBYTE)
    await prepare(victim, "short", *[f"wf{number}" for number in range(12)], input=large)
    async with victim.killed_at(fault, victim.insist("PurgeInstances", FILTER)):
        while victim.file.stat().st_size > 9 * MEBIBYTE:
            assert await victim.status("live") == "RUNNING"
    assert left(victim) == {"live"}
