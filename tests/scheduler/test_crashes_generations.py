"""SIGKILL while an instance becomes another: anew, rewound, restarted, replaced, terminated."""

import contextlib

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from .conftest import Actions
from .killing import Victim, Worker, answers, edges

pytestmark = pytest.mark.crash

EVENTS = [f"event{number}" for number in range(6)]


def counter(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    """Continues as new with each event it is told; the input holds the names so far."""
    (started,) = answers(events, "executionStarted")
    known = [name for name in started.input.value.split(",") if name]
    told = [event for event in events if event.HasField("eventRaised")]
    if len(known) == len(EVENTS):
        return [Actions.complete(",".join(known))]
    if not told:
        return []
    given = ",".join([*known, told[0].eventRaised.name])
    return [Actions.anew(given, *told[1:])]


@pytest.mark.parametrize("fault", edges("generation.half", "generation.half:3"))
async def test_a_generation_takes_every_event_along(victim: Victim, fault: str) -> None:
    async with victim.running():
        await victim.start("wf", "counter")
        for name in EVENTS[:4]:
            await victim.insist("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name=name))
    async with Worker(victim.client, {"counter": counter}).working(), victim.killed_at(fault):
        for name in EVENTS[4:]:
            await victim.insist("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name=name))
        assert (await victim.finished("wf")).output.value == ",".join(EVENTS)


def step(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    """One activity; ends with its result, or fails with it."""
    if failed := answers(events, "taskFailed"):
        return [Actions.fail(failed[0].failureDetails)]
    done = [done.result.value for done in answers(events, "taskCompleted")]
    return [Actions.task(1), *([Actions.complete(done[0])] if done else [])]


def family(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    """Three children; fails when all have an end, and one of them failed."""
    actions = [Actions.child(number, "step", f"{instance_id}-{number}") for number in (1, 2, 3)]
    failed = answers(events, "subOrchestrationInstanceFailed")
    done = answers(events, "subOrchestrationInstanceCompleted")
    if failed and len(failed) + len(done) == 3:
        return [*actions, Actions.fail(failed[0].failureDetails)]
    ended = Actions.complete(",".join(sorted(one.result.value for one in done)))
    return [*actions, *([ended] if len(done) == 3 else [])]


FLOWS = {"step": step, "family": family}
RESTART = pb.RestartInstanceRequest(instanceId="wf")


async def rewind(victim: Victim) -> None:
    """Ask for it until it is answered, or refused because it has been done."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        await victim.insist("RewindInstance", pb.RewindInstanceRequest(instanceId="wf"))


@pytest.mark.parametrize("fault", edges("rewind.half", "rewind.half:2", "rewind.half:3"))
async def test_a_rewound_family_runs_again_where_it_failed(victim: Victim, fault: str) -> None:
    async with Worker(victim.client, FLOWS).working() as worker:
        worker.failing = {"wf-1", "wf-3"}
        async with victim.running():
            await victim.start("wf", "family")
            await victim.finished("wf")
            assert await victim.status("wf") == "FAILED"
        worker.failing = set()
        worker.ran.clear()
        async with victim.killed_at(fault, rewind(victim)):
            assert (await victim.finished("wf")).output.value == "r1,r1,r1"
            history = await victim.history("wf")
    reported = answers(history, "subOrchestrationInstanceCompleted")
    assert sorted(done.taskScheduledId for done in reported) == [1, 2, 3]
    assert answers(history, "subOrchestrationInstanceFailed") == []
    assert worker.ran == {"wf-1/1": 1, "wf-3/1": 1}


@pytest.mark.parametrize("fault", edges("delete.half"))
async def test_a_restarted_instance_runs_once_more(victim: Victim, fault: str) -> None:
    async with Worker(victim.client, FLOWS).working() as worker:
        async with victim.running():
            await victim.start("wf", "step")
            await victim.finished("wf")
        await victim.dies_of(fault, "RestartInstance", RESTART)
        async with victim.running():
            if not victim.has_done(fault):  # it has not happened, and is asked for again
                await victim.insist("RestartInstance", RESTART)
            assert (await victim.finished("wf")).output.value == "r1"
            assert len(answers(await victim.history("wf"), "executionStarted")) == 1
    assert worker.ran["wf/1"] == 2


@pytest.mark.parametrize("fault", edges("end.half", "delete.half"))
async def test_an_instance_is_replaced_whole_or_not(victim: Victim, fault: str) -> None:
    policy = pb.OrchestrationIdReusePolicy(
        replaceableStatus=[pb.ORCHESTRATION_STATUS_PENDING, pb.ORCHESTRATION_STATUS_RUNNING]
    )
    new = pb.CreateInstanceRequest(instanceId="wf", name="new", orchestrationIdReusePolicy=policy)
    async with victim.running():
        await victim.start("wf", "old")
    await victim.dies_of(fault, "StartInstance", new)
    async with victim.running():
        found = await victim.insist("GetInstance", pb.GetInstanceRequest(instanceId="wf"))
        expected = "new" if victim.has_done(fault) else "old"
        assert found.orchestrationState.name == expected
        assert await victim.status("wf") == "PENDING"


def generations(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    """Each has two children, down to the third level, where they wait."""
    if instance_id.count("-") == 2:
        return []
    return [Actions.child(n, "generations", f"{instance_id}-{n}") for n in (1, 2)]


@pytest.mark.parametrize("fault", edges("end.half:2", "end.half:6"))
async def test_a_family_is_terminated_whole_or_not(victim: Victim, fault: str) -> None:
    ids = ["wf", *[f"wf-{n}" for n in (1, 2)], *[f"wf-{n}-{m}" for n in (1, 2) for m in (1, 2)]]
    request = pb.TerminateRequest(instanceId="wf", recursive=True)
    worker = Worker(victim.client, {"generations": generations})
    async with victim.running(), worker.working():
        await victim.start("wf", "generations")
        for instance_id in ids:
            while await victim.status(instance_id) != "RUNNING":
                pass
    await victim.dies_of(fault, "TerminateInstance", request)
    async with victim.running():
        expected = "TERMINATED" if victim.has_done(fault) else "RUNNING"
        assert {await victim.status(instance_id) for instance_id in ids} == {expected}
        await victim.once("TerminateInstance", request)
        assert {await victim.status(instance_id) for instance_id in ids} == {"TERMINATED"}
