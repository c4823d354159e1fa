"""Turns of an orchestrator: what is delivered, and what an answer changes."""

import asyncio

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from .conftest import Actions, Hub, Worker, kinds, text


async def test_an_instance_is_pending_until_its_first_turn_is_recorded(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    item = await worker.next()
    assert await hub.status() == "PENDING"
    await worker.answer_turn(item, act.task(1))
    assert await hub.status() == "RUNNING"


async def test_the_first_turn_brings_the_time_and_the_start(hub: Hub, worker: Worker) -> None:
    tags = {"team": "a"}
    await hub.start(input=text('{"x": 1}'), version=text("1.2"), tags=tags)
    request = (await worker.next()).orchestratorRequest
    assert not request.pastEvents
    assert kinds(list(request.newEvents)) == ["orchestratorStarted", "executionStarted"]
    started = request.newEvents[1].executionStarted
    assert (started.name, started.input.value, started.version.value) == (
        "flow",
        '{"x": 1}',
        "1.2",
    )
    assert started.orchestrationInstance.executionId.value == request.executionId.value
    assert dict(started.tags) == tags
    assert request.newEvents[0].timestamp.seconds == 1767225600


async def test_a_result_is_delivered_with_the_whole_history_before_it(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.task(1, given="1"))
    await worker.answer_activity(await worker.next(), "2")
    request = (await worker.next()).orchestratorRequest
    assert kinds(list(request.pastEvents)) == [
        "orchestratorStarted",
        "executionStarted",
        "taskScheduled",
        "orchestratorCompleted",
    ]
    assert request.pastEvents[2].eventId == 1
    assert kinds(list(request.newEvents)) == ["orchestratorStarted", "taskCompleted"]
    assert request.newEvents[1].taskCompleted.result.value == "2"


async def test_results_that_come_during_a_turn_are_delivered_together(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), *[act.task(n) for n in range(1, 11)])
    first, *rest = [await worker.next() for _ in range(10)]
    await worker.answer_activity(first, "1")
    turn = await worker.next()
    await asyncio.gather(*(worker.answer_activity(item, "1") for item in rest))
    await worker.answer_turn(turn)
    request = (await worker.next()).orchestratorRequest
    assert kinds(list(request.newEvents)).count("taskCompleted") == 9


async def test_a_completed_instance_ends_its_history_with_execution_completed(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.complete('{"a": 1}'), status='"ok"')
    state = await hub.wait()
    assert (state.output.value, state.customStatus.value) == ('{"a": 1}', '"ok"')
    assert not state.HasField("failureDetails")
    assert kinds(await hub.history())[-2:] == ["orchestratorCompleted", "executionCompleted"]


async def test_a_failure_keeps_its_inner_failures_and_properties(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    failure = pb.TaskFailureDetails(
        errorType="E",
        errorMessage="m",
        stackTrace=text("st"),
        isNonRetriable=True,
        innerFailure=pb.TaskFailureDetails(errorType="I", errorMessage="n"),
    )
    failure.properties["k"].string_value = "v"
    await hub.start()
    await worker.answer_turn(await worker.next(), act.fail(failure))
    state = await hub.wait()
    assert state.failureDetails == failure
    assert await hub.status() == "FAILED"


async def test_failure_details_without_a_message_are_a_failure(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.task(1))
    await worker.answer_activity(await worker.next(), failure=pb.TaskFailureDetails())
    assert (await worker.next()).orchestratorRequest.newEvents[1].HasField("taskFailed")


async def test_an_activity_inherits_the_tags_of_its_orchestration(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start(tags={"a": "1", "b": "1"})
    action = act.task(1)
    action.scheduleTask.tags["b"] = "2"
    await worker.answer_turn(await worker.next(), action)
    request = (await worker.next()).activityRequest
    assert dict(request.tags) == {"a": "1", "b": "2"}
    assert (request.name, request.taskId) == ("step", 1)


async def test_continue_as_new_begins_a_new_generation_with_what_it_carries(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start(tags={"t": "1"}, input=text("1"))
    turn = await worker.next()
    old = turn.orchestratorRequest.executionId.value
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="late"))
    carried = pb.HistoryEvent(eventRaised=pb.EventRaisedEvent(name="early"))
    await worker.answer_turn(turn, act.task(5), act.anew("2", carried))
    items = [await worker.next(), await worker.next()]
    request = next(i for i in items if i.HasField("orchestratorRequest")).orchestratorRequest
    assert not request.pastEvents
    started = request.newEvents[1].executionStarted
    assert (started.input.value, dict(started.tags)) == ("2", {"t": "1"})
    assert request.executionId.value not in ("", old)
    names = [e.eventRaised.name for e in request.newEvents if e.HasField("eventRaised")]
    assert names == ["early", "late"]


async def test_results_of_the_old_generation_do_not_reach_the_new_one(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.task(1))
    activity = await worker.next()
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="go"))
    await worker.answer_turn(await worker.next(), act.anew("2"))
    await worker.answer_turn(await worker.next(), act.task(1))
    assert (await worker.next()).HasField("activityRequest")
    await worker.answer_activity(activity, '"old"')
    assert await worker.nothing_comes()


async def test_only_the_processed_events_leave_the_inbox(hub: Hub, worker: Worker) -> None:
    await hub.start()
    first = await worker.next()
    for name in ("one", "two", "three"):
        await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name=name))
    await worker.answer_turn(first)
    turn = await worker.next()
    response = pb.OrchestratorResponse(instanceId="wf", completionToken=turn.completionToken)
    response.numEventsProcessed.value = 2  # orchestratorStarted and "one"
    await hub.call("CompleteOrchestratorTask", response)
    events = (await worker.next()).orchestratorRequest.newEvents
    assert [event.eventRaised.name for event in events[1:]] == ["two", "three"]


async def test_an_action_of_no_known_kind_is_refused_and_changes_nothing(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    turn = await worker.next()
    with pytest.raises(grpc.RpcError, match="does not know"):
        await worker.answer_turn(turn, pb.OrchestratorAction(id=1), act.task(2))
    assert await hub.status() == "PENDING"
    assert await hub.history() == []
    again = await worker.next()
    await worker.answer_turn(again, act.complete())
    assert (await hub.wait()).output.value == '"done"'


async def test_a_suspension_comes_in_a_turn_of_its_own(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    turn = await worker.next()
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="before"))
    await hub.call("SuspendInstance", pb.SuspendRequest(instanceId="wf"))
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="after"))
    await worker.answer_turn(turn)
    turn = await worker.next()
    assert kinds(list(turn.orchestratorRequest.newEvents))[1:] == ["eventRaised"]
    # A worker would forget what it decides behind a suspension, and decide it again.
    await worker.answer_turn(turn, act.task(1))
    items = [await worker.next(), await worker.next()]
    turn = next(item for item in items if item.HasField("orchestratorRequest"))
    assert kinds(list(turn.orchestratorRequest.newEvents))[1:] == [
        "executionSuspended",
        "eventRaised",
    ]


async def test_a_suspension_that_is_over_needs_no_turn_of_its_own(hub: Hub, worker: Worker) -> None:
    await hub.start()
    turn = await worker.next()
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="before"))
    await hub.call("SuspendInstance", pb.SuspendRequest(instanceId="wf"))
    await hub.call("ResumeInstance", pb.ResumeRequest(instanceId="wf"))
    await worker.answer_turn(turn)
    delivered = kinds(list((await worker.next()).orchestratorRequest.newEvents))
    assert delivered[1:] == ["eventRaised", "executionSuspended", "executionResumed"]
