"""What an orchestrator's actions become: events that carry their ids, work, and other instances."""

from datetime import timedelta

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from .conftest import START, Actions, Hub, Worker, kinds, stamp, text

TRACE = pb.TraceContext(traceParent="00-1-2-01", spanID="2", traceState=text("s"))


async def begun(hub: Hub, worker: Worker, instance_id: str = "wf", **fields: object) -> pb.WorkItem:
    await hub.start(instance_id, **fields)
    return await worker.next()


async def test_an_activity_gets_all_that_was_said_of_it(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    turn = await begun(hub, worker)
    action = act.task(7, "step", '"in"')
    action.scheduleTask.version.value = "3.1"
    action.scheduleTask.parentTraceContext.CopyFrom(TRACE)
    await worker.answer_turn(turn, action)
    request = (await worker.next()).activityRequest
    assert (request.name, request.version.value, request.input.value) == ("step", "3.1", '"in"')
    assert request.taskId == 7
    assert request.parentTraceContext == TRACE
    assert request.orchestrationInstance.instanceId == "wf"
    assert request.orchestrationInstance.executionId == turn.orchestratorRequest.executionId
    [event] = [event for event in await hub.history() if event.HasField("taskScheduled")]
    assert (event.eventId, event.taskScheduled.parentTraceContext) == (7, TRACE)


async def test_a_failed_activity_reports_its_whole_failure(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    failure = pb.TaskFailureDetails(
        errorType="E",
        errorMessage="m",
        stackTrace=text("line 1"),
        isNonRetriable=True,
        innerFailure=pb.TaskFailureDetails(errorType="I", errorMessage="n"),
    )
    failure.properties["k"].number_value = 5
    await worker.answer_turn(await begun(hub, worker), act.task(1))
    await worker.answer_activity(await worker.next(), failure=failure)
    failed = (await worker.next()).orchestratorRequest.newEvents[1].taskFailed
    assert (failed.taskScheduledId, failed.failureDetails) == (1, failure)


async def test_the_trace_of_a_start_and_of_a_turn_comes_back(hub: Hub, worker: Worker) -> None:
    item = await begun(hub, worker, parentTraceContext=TRACE)
    request = item.orchestratorRequest
    assert request.newEvents[1].executionStarted.parentTraceContext == TRACE
    assert not request.HasField("orchestrationTraceContext")
    span = pb.OrchestrationTraceContext(spanID=text("span"), spanStartTime=stamp(START))
    response = pb.OrchestratorResponse(
        instanceId="wf", completionToken=item.completionToken, orchestrationTraceContext=span
    )
    await hub.call("CompleteOrchestratorTask", response)
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="go"))
    assert (await worker.next()).orchestratorRequest.orchestrationTraceContext == span


async def test_a_child_gets_its_version_its_trace_and_its_parents_tags(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    action = act.child(1, child_id="kid")
    action.createSubOrchestration.version.value = "2"
    action.createSubOrchestration.parentTraceContext.CopyFrom(TRACE)
    await worker.answer_turn(await begun(hub, worker, tags={"t": "1"}), action)
    started = (await worker.next()).orchestratorRequest.newEvents[1].executionStarted
    assert (started.version.value, started.parentTraceContext, dict(started.tags)) == (
        "2",
        TRACE,
        {"t": "1"},
    )


async def test_a_parent_waits_for_its_child_however_long(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.answer_turn(await begun(hub, worker), act.child(1))
    child = await worker.next()
    await hub.clock.advance(timedelta(days=400))
    assert await worker.nothing_comes()
    await worker.answer_turn(child, act.complete('"at last"'))
    event = (await worker.next()).orchestratorRequest.newEvents[1]
    assert event.subOrchestrationInstanceCompleted.result.value == '"at last"'


async def test_a_child_takes_the_place_of_a_finished_instance(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.answer_turn(await begun(hub, worker, "kid", name="old"), act.complete())
    await worker.answer_turn(await begun(hub, worker), act.child(1, child_id="kid"))
    assert (await worker.next()).orchestratorRequest.instanceId == "kid"
    assert (await hub.get("kid")).orchestrationState.name == "child"


@pytest.mark.parametrize("recurse", [True, False])
async def test_an_orchestrator_ends_another(
    hub: Hub, worker: Worker, act: Actions, recurse: bool
) -> None:
    await worker.answer_turn(await begun(hub, worker, "other"), act.child(1, child_id="kid"))
    await worker.next()
    ended = pb.TerminateOrchestrationAction(
        instanceId="other", reason=text('"enough"'), recurse=recurse
    )
    action = pb.OrchestratorAction(id=1, terminateOrchestration=ended)
    await worker.answer_turn(await begun(hub, worker), action)
    assert (await hub.wait("other")).output.value == '"enough"'
    assert await hub.status("other") == "TERMINATED"
    assert (await hub.status("kid") == "TERMINATED") is recurse


async def test_every_event_of_a_history_has_the_time_of_the_clock(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    turn = await begun(hub, worker)
    actions = [act.task(1), act.timer(2, START + timedelta(hours=1)), act.child(3, child_id="kid")]
    await worker.answer_turn(turn, *actions)
    for _ in range(2):
        item = await worker.next()
        if item.HasField("activityRequest"):
            await worker.answer_activity(item, "1")
    await hub.clock.advance(timedelta(hours=1))
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="wf", recursive=True))
    moments = {event.timestamp.ToDatetime() for event in await hub.history()}
    first, last = START.replace(tzinfo=None), (START + timedelta(hours=1)).replace(tzinfo=None)
    assert moments
    assert all(first <= moment <= last for moment in moments)


async def test_a_result_for_a_finished_instance_is_dropped(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.answer_turn(await begun(hub, worker), act.task(1), act.timer(2, START))
    items = {item.WhichOneof("request"): item for item in [await worker.next() for _ in range(2)]}
    await worker.answer_turn(items["orchestratorRequest"], act.complete())
    before = await hub.history()
    await worker.answer_activity(items["activityRequest"], '"late"')
    assert await worker.nothing_comes()
    assert await hub.history() == before


async def test_continue_as_new_takes_a_new_version_and_tags_and_keeps_the_rest(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    turn = await begun(hub, worker, version=text("1"), tags={"a": "1", "b": "1"})
    await hub.clock.advance(timedelta(hours=1))
    action = act.anew("2")
    action.completeOrchestration.newVersion.value = "2"
    action.completeOrchestration.tags["b"] = "2"
    await worker.answer_turn(turn, action)
    started = (await worker.next()).orchestratorRequest.newEvents[1].executionStarted
    assert (started.name, started.version.value) == ("flow", "2")
    assert dict(started.tags) == {"a": "1", "b": "2"}
    state = (await hub.get()).orchestrationState
    assert (state.version.value, dict(state.tags)) == ("2", {"a": "1", "b": "2"})
    assert state.createdTimestamp == stamp(START)
    assert await hub.status() == "RUNNING"


async def test_without_a_new_version_continue_as_new_keeps_the_old_one(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.answer_turn(await begun(hub, worker, version=text("1")), act.anew("2"))
    started = (await worker.next()).orchestratorRequest.newEvents[1].executionStarted
    assert started.version.value == "1"


async def test_what_comes_with_continue_as_new_is_done(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.answer_turn(await begun(hub, worker, "other"))
    turn = await begun(hub, worker)
    signal = pb.EntityOperationSignaledEvent(
        operation="add", targetInstanceId=text("@counter@a"), requestId="r"
    )
    target = pb.OrchestrationInstance(instanceId="other")
    event = pb.OrchestratorAction(id=2, sendEvent=pb.SendEventAction(instance=target, name="hello"))
    actions = [act.entity(1, entityOperationSignaled=signal), event, act.child(3, child_id="kid")]
    await worker.answer_turn(turn, *actions, act.anew("2"))
    items = [await worker.next() for _ in range(4)]
    assert any(item.entityRequestV2.instanceId == "@counter@a" for item in items)
    turns = {item.orchestratorRequest.instanceId for item in items}
    assert turns >= {"wf", "other", "kid"}


async def test_a_child_of_the_old_generation_does_not_report_to_the_new_one(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.answer_turn(await begun(hub, worker), act.child(1, child_id="kid"))
    child = await worker.next()
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="go"))
    await worker.answer_turn(await worker.next(), act.anew("2"))
    await worker.answer_turn(await worker.next())
    await worker.answer_turn(child, act.complete())
    assert (await hub.wait("kid")).output.value == '"done"'
    assert await worker.nothing_comes()
    assert "subOrchestrationInstanceCompleted" not in kinds(await hub.history())


async def test_an_end_that_is_none_is_refused(hub: Hub, worker: Worker, act: Actions) -> None:
    turn = await begun(hub, worker)
    action = act.complete()
    action.completeOrchestration.orchestrationStatus = pb.ORCHESTRATION_STATUS_CANCELED
    with pytest.raises(Exception, match="is not an end"):
        await worker.answer_turn(turn, action)
    assert await hub.status() == "PENDING"


async def test_a_stored_reference_to_a_payload_is_passed_on_as_it_is(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    token = "blob:v2:https://store.example/container/x"
    turn = await begun(hub, worker, input=text(token))
    assert turn.orchestratorRequest.newEvents[1].executionStarted.input.value == token
    await worker.answer_turn(turn, act.task(1, given=token))
    item = await worker.next()
    assert item.activityRequest.input.value == token
    await worker.answer_activity(item, token)
    await worker.answer_turn(await worker.next(), act.complete(token))
    assert (await hub.wait()).output.value == token
