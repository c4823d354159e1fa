"""SIGKILL at every durable edge of turns and activities: one outcome, whatever was lost."""

from collections import Counter

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from .conftest import Actions
from .killing import Victim, Worker, answers

STEPS = 3
INSTANCES = [f"wf{number}" for number in range(4)]
POINTS = ["work_item.sent", "completion.received", "turn.half", "commit.before", "commit.after"]


def chain(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    results = [done.result.value for done in answers(events, "taskCompleted")]
    if len(results) < STEPS:
        return [Actions.task(len(results) + 1)]
    return [Actions.complete(",".join(results))]


def listener(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    """Ends with the names of the first two events it is told."""
    names = [raised.name for raised in answers(events, "eventRaised")]
    return [Actions.complete(",".join(names))] if len(names) > 1 else []


FLOWS = {"chain": chain}


@pytest.mark.crash
@pytest.mark.parametrize("nth", [1, 4])
@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_scheduler_goes_on_where_it_was(
    victim: Victim, point: str, nth: int
) -> None:
    async with Worker(victim.client, FLOWS, victim.has_recorded).working() as worker:
        starts = [victim.start(instance_id, "chain") for instance_id in INSTANCES]
        async with victim.killed_at(f"{point}:{nth}", *starts):
            states = [await victim.finished(instance_id) for instance_id in INSTANCES]
            histories = [await victim.history(instance_id) for instance_id in INSTANCES]
    assert {state.output.value for state in states} == {"r1,r2,r3"}
    for events in histories:
        done = [done.taskScheduledId for done in answers(events, "taskCompleted")]
        assert Counter(done) == {1: 1, 2: 1, 3: 1}
    assert worker.repeated == []


@pytest.mark.crash
async def test_what_was_acknowledged_the_moment_before_is_there(victim: Victim) -> None:
    tell = pb.RaiseEventRequest(instanceId="wf", name="first")
    async with victim.running() as dying:
        await victim.once("StartInstance", pb.CreateInstanceRequest(instanceId="wf", name="wait"))
        dying.kill()
        await dying.wait()
    async with victim.running() as dying:
        assert await victim.status("wf") == "PENDING"
        await victim.once("RaiseEvent", tell)
        dying.kill()
        await dying.wait()
    async with victim.running(), Worker(victim.client, {"wait": listener}).working():
        tell.name = "second"
        await victim.insist("RaiseEvent", tell)
        assert (await victim.finished("wf")).output.value == "first,second"


@pytest.mark.crash
@pytest.mark.parametrize("point", ["commit.before", "commit.after"])
async def test_a_client_that_asks_again_has_started_one_instance(
    victim: Victim, point: str
) -> None:
    async with (
        Worker(victim.client, FLOWS, victim.has_recorded).working() as worker,
        victim.killed_at(f"{point}:2", victim.start("wf", "chain")),
    ):
        assert (await victim.finished("wf")).output.value == "r1,r2,r3"
        found = await victim.once("QueryInstances", pb.QueryInstancesRequest())
        assert [state.instanceId for state in found.orchestrationState] == ["wf"]
    assert worker.ran == {"wf/1": 1, "wf/2": 1, "wf/3": 1}
