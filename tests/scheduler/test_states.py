"""What clients see of an instance, and what they do to one that is suspended or finished."""

import asyncio
from datetime import timedelta

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from .conftest import START, Actions, Hub, Worker, kinds, stamp, text

FAILURE = pb.TaskFailureDetails(errorType="E", errorMessage="m")


async def begun(hub: Hub, worker: Worker, **fields: object) -> pb.WorkItem:
    await hub.start(**fields)
    return await worker.next()


async def raise_event(hub: Hub, name: str) -> None:
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name=name))


async def refused(call: object) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as raised:
        await call
    return raised.value.code()


async def test_a_state_is_told_in_full(hub: Hub, worker: Worker, act: Actions) -> None:
    due = START + timedelta(hours=1)
    await hub.start(
        version=text("1"), tags={"t": "1"}, input=text("1"), scheduledStartTimestamp=stamp(due)
    )
    await hub.clock.advance(timedelta(hours=1))
    item = await worker.next()
    await hub.clock.advance(timedelta(hours=1))
    await worker.answer_turn(item, act.child(1, child_id="kid"), act.complete(), status='"s"')
    state = await hub.wait()
    assert (state.name, state.version.value, dict(state.tags)) == ("flow", "1", {"t": "1"})
    assert state.executionId == item.orchestratorRequest.executionId
    assert (state.createdTimestamp, state.scheduledStartTimestamp) == (stamp(START), stamp(due))
    ended = stamp(due + timedelta(hours=1))
    assert (state.lastUpdatedTimestamp, state.completedTimestamp) == (ended, ended)
    assert (await hub.get("kid")).orchestrationState.parentInstanceId.value == "wf"
    query = pb.QueryInstancesRequest(
        query=pb.InstanceQuery(instanceIdPrefix=text("wf"), fetchInputsAndOutputs=True)
    )
    assert list((await hub.call("QueryInstances", query)).orchestrationState) == [state]


async def test_payloads_of_one_instance_are_told_only_when_asked_for(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    turn = await begun(hub, worker, input=text("1"))
    await worker.answer_turn(turn, act.complete(), status='"s"')
    await hub.wait()
    found = await hub.call("GetInstance", pb.GetInstanceRequest(instanceId="wf"))
    state = found.orchestrationState
    assert not state.HasField("input")
    assert not state.HasField("output")
    assert state.customStatus.value == '"s"'


async def test_only_a_failed_instance_has_a_failure(hub: Hub, worker: Worker, act: Actions) -> None:
    turn = await begun(hub, worker)
    action = act.complete()
    action.completeOrchestration.failureDetails.CopyFrom(FAILURE)
    await worker.answer_turn(turn, action)
    assert not (await hub.wait()).HasField("failureDetails")


async def test_a_wait_ends_with_the_clients_patience(hub: Hub) -> None:
    await hub.start()
    for method in ("WaitForInstanceStart", "WaitForInstanceCompletion"):
        call = getattr(hub.client.stub, method)(
            pb.GetInstanceRequest(instanceId="wf"), metadata=hub.client.metadata, timeout=0.2
        )
        assert await refused(call) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await hub.status() == "PENDING"


async def test_a_wait_for_the_start_ends_when_an_instance_ends_without_one(hub: Hub) -> None:
    await hub.start()
    request = pb.GetInstanceRequest(instanceId="wf")
    waiting = asyncio.create_task(hub.call("WaitForInstanceStart", request))
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="wf"))
    state = (await waiting).orchestrationState
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_TERMINATED


async def test_what_comes_while_an_instance_is_suspended_reaches_its_worker(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.answer_turn(
        await begun(hub, worker), act.timer(1, START + timedelta(hours=1)), act.task(2)
    )
    activity = await worker.next()
    await hub.call("SuspendInstance", pb.SuspendRequest(instanceId="wf"))
    turn = await worker.next()
    await raise_event(hub, "e")
    await worker.answer_activity(activity, "1")
    await hub.clock.advance(timedelta(hours=1))
    seen: list[str | None] = kinds(list(turn.orchestratorRequest.newEvents))[1:]
    while len(seen) < 4:
        await worker.answer_turn(turn)
        assert await hub.status() == "SUSPENDED"
        turn = await worker.next()
        seen += kinds(list(turn.orchestratorRequest.newEvents))[1:]
    assert seen == ["executionSuspended", "eventRaised", "taskCompleted", "timerFired"]


async def test_a_finished_instance_is_left_as_it_is(hub: Hub, worker: Worker, act: Actions) -> None:
    await worker.answer_turn(await begun(hub, worker), act.complete())
    before = await hub.wait(), await hub.history()
    await hub.clock.advance(timedelta(hours=1))
    await hub.call("SuspendInstance", pb.SuspendRequest(instanceId="wf"))
    await hub.call("ResumeInstance", pb.ResumeRequest(instanceId="wf"))
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="wf", output=text("x")))
    await raise_event(hub, "e")
    assert await worker.nothing_comes()
    assert (await hub.wait(), await hub.history()) == before


async def test_resuming_nobody_is_not_found(hub: Hub) -> None:
    request = pb.ResumeRequest(instanceId="none")
    assert await refused(hub.call("ResumeInstance", request)) is grpc.StatusCode.NOT_FOUND


async def test_skipping_the_graceful_part_ends_instances_and_names_those_that_are_not_there(
    hub: Hub, worker: Worker
) -> None:
    await begun(hub, worker)
    request = pb.SkipGracefulOrchestrationTerminationsRequest(
        instanceBatch=pb.InstanceBatch(instanceIds=["wf", "none"]), reason=text('"r"')
    )
    answer = await hub.call("SkipGracefulOrchestrationTerminations", request)
    assert list(answer.unterminatedInstanceIds) == ["none"]
    assert (await hub.wait()).output.value == '"r"'
    assert await hub.status() == "TERMINATED"


@pytest.mark.parametrize("anew", [True, False])
async def test_a_restart_keeps_name_input_version_and_tags(
    hub: Hub, worker: Worker, act: Actions, anew: bool
) -> None:
    turn = await begun(hub, worker, input=text("1"), version=text("2"), tags={"t": "1"})
    await worker.answer_turn(turn, act.fail(FAILURE), status='"s"')
    await hub.wait()
    request = pb.RestartInstanceRequest(instanceId="wf", restartWithNewInstanceId=anew)
    again = (await hub.call("RestartInstance", request)).instanceId
    assert (again == "wf") is not anew
    item = (await worker.next()).orchestratorRequest
    started = item.newEvents[1].executionStarted
    assert (item.instanceId, list(item.pastEvents)) == (again, [])
    assert (started.name, started.input.value, started.version.value) == ("flow", "1", "2")
    assert dict(started.tags) == {"t": "1"}
    state = (await hub.get(again)).orchestrationState
    assert not state.HasField("failureDetails")
    assert not state.HasField("customStatus")


async def test_only_a_finished_instance_can_be_restarted(hub: Hub) -> None:
    await hub.start()
    restart = hub.call("RestartInstance", pb.RestartInstanceRequest(instanceId="wf"))
    assert await refused(restart) is grpc.StatusCode.FAILED_PRECONDITION
    nobody = hub.call("RestartInstance", pb.RestartInstanceRequest(instanceId="none"))
    assert await refused(nobody) is grpc.StatusCode.NOT_FOUND


async def rewound(hub: Hub, worker: Worker, item: pb.WorkItem) -> list[pb.HistoryEvent]:
    """Answer a rewind as a worker does, with the history without its failures."""
    request = item.orchestratorRequest
    dropped = ("taskFailed", "subOrchestrationInstanceFailed", "executionCompleted")
    history = [e for e in request.pastEvents if e.WhichOneof("eventType") not in dropped]
    failed = {e.taskFailed.taskScheduledId for e in request.pastEvents if e.HasField("taskFailed")}
    history = [e for e in history if not (e.HasField("taskScheduled") and e.eventId in failed)]
    history += request.newEvents
    for event in history:
        if event.HasField("executionStarted"):
            event.executionStarted.orchestrationInstance.executionId.value += "-again"
    action = pb.RewindOrchestrationAction(newHistory=history)
    await worker.answer_turn(item, pb.OrchestratorAction(id=-1, rewindOrchestration=action))
    return history


async def test_a_rewind_goes_through_the_worker_and_clears_the_failure(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.answer_turn(await begun(hub, worker, tags={"t": "1"}), act.task(1))
    await worker.answer_activity(await worker.next(), failure=FAILURE)
    await worker.answer_turn(await worker.next(), act.fail(FAILURE))
    before = await hub.history()
    await hub.call("RewindInstance", pb.RewindInstanceRequest(instanceId="wf", reason=text("r")))
    state = (await hub.get()).orchestrationState
    assert await hub.status() == "RUNNING"
    assert not state.HasField("failureDetails")
    assert not state.HasField("completedTimestamp")
    item = await worker.next()
    new = item.orchestratorRequest.newEvents
    assert kinds(list(new)) == ["orchestratorStarted", "executionRewound"]
    assert new[1].executionRewound.reason.value == "r"
    assert list(item.orchestratorRequest.pastEvents) == before
    cleaned = await rewound(hub, worker, item)
    request = (await worker.next()).orchestratorRequest
    assert list(request.pastEvents) == cleaned
    assert kinds(list(request.newEvents)) == ["orchestratorStarted"]
    assert request.executionId.value.endswith("-again")
    state = (await hub.get()).orchestrationState
    assert (state.executionId, dict(state.tags)) == (request.executionId, {"t": "1"})


@pytest.mark.parametrize("purged", [True, False])
async def test_a_rewind_takes_a_failed_child_along_or_starts_a_purged_one_anew(
    hub: Hub, worker: Worker, act: Actions, purged: bool
) -> None:
    child = act.child(1, child_id="kid")
    child.createSubOrchestration.input.value = "7"
    await worker.answer_turn(await begun(hub, worker), child)
    await worker.answer_turn(await worker.next(), act.fail(FAILURE))
    await worker.answer_turn(await worker.next(), act.fail(FAILURE))
    await hub.wait()
    if purged:
        await hub.call("PurgeInstances", pb.PurgeInstancesRequest(instanceId="kid"))
    await hub.call("RewindInstance", pb.RewindInstanceRequest(instanceId="wf"))
    await rewound(hub, worker, await worker.next())
    items = [(await worker.next()).orchestratorRequest for _ in range(2)]
    [kid] = [item for item in items if item.instanceId == "kid"]
    if purged:
        started = kid.newEvents[1].executionStarted
        assert (started.name, started.input.value) == ("child", "7")
        assert started.parentInstance.orchestrationInstance.instanceId == "wf"
    else:
        [rewind] = [e.executionRewound for e in kid.newEvents if e.HasField("executionRewound")]
        assert rewind.parentExecutionId.value.endswith("-again")
