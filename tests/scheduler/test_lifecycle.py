"""Starting, controlling and ending instances; timers; sub-orchestrations."""

import asyncio
from datetime import timedelta

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from .conftest import START, Actions, Hub, Scheduler, Worker, kinds, stamp, text


async def refused(call: object) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as raised:
        await call
    return raised.value.code()


async def test_an_id_in_use_is_refused_without_a_policy(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    assert await refused(hub.start()) is grpc.StatusCode.ALREADY_EXISTS
    await worker.answer_turn(await worker.next(), act.complete())
    assert await refused(hub.start()) is grpc.StatusCode.ALREADY_EXISTS


async def test_a_policy_names_the_states_that_may_be_replaced(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[pb.ORCHESTRATION_STATUS_COMPLETED])
    await hub.start()
    again = hub.start(orchestrationIdReusePolicy=policy)
    assert await refused(again) is grpc.StatusCode.ALREADY_EXISTS
    await worker.answer_turn(await worker.next(), act.complete())
    await hub.wait()
    await hub.start(orchestrationIdReusePolicy=policy)
    assert await hub.status() == "PENDING"
    assert await hub.history() == []


async def test_a_replaced_instance_leaves_no_work_behind(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.task(1))
    activity = await worker.next()
    policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[pb.ORCHESTRATION_STATUS_RUNNING])
    await hub.start(orchestrationIdReusePolicy=policy)
    await worker.answer_activity(activity, '"old"')
    request = (await worker.next()).orchestratorRequest
    assert kinds(list(request.newEvents)) == ["orchestratorStarted", "executionStarted"]


@pytest.mark.parametrize("instance_id", ["@counter@a", "x" * 513])
async def test_an_impossible_instance_id_is_refused(hub: Hub, instance_id: str) -> None:
    assert await refused(hub.start(instance_id)) is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_later_start_stays_pending_until_it_is_due(hub: Hub, worker: Worker) -> None:
    due = stamp(START + timedelta(hours=1))
    await hub.start(scheduledStartTimestamp=due)
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="early"))
    assert await worker.nothing_comes()
    assert await hub.status() == "PENDING"
    await hub.clock.advance(timedelta(hours=1))
    request = (await worker.next()).orchestratorRequest
    assert kinds(list(request.newEvents)) == [
        "orchestratorStarted",
        "executionStarted",
        "eventRaised",
    ]
    assert request.newEvents[1].executionStarted.scheduledStartTimestamp == due


async def test_a_timer_of_years_fires_when_it_is_due_and_not_before(
    scheduler: Scheduler, hub: Hub, worker: Worker, act: Actions
) -> None:
    fire_at = START + timedelta(days=1000)
    await hub.start()
    await worker.answer_turn(await worker.next(), act.timer(1, fire_at))
    await hub.clock.advance(timedelta(days=999))
    assert await worker.nothing_comes()
    await scheduler.stop()
    await scheduler.start()
    hub = await scheduler.hub()
    worker = hub.worker()
    await worker.connect()
    await hub.clock.advance(timedelta(days=1))
    fired = (await worker.next()).orchestratorRequest.newEvents[1].timerFired
    assert (fired.timerId, fired.fireAt) == (1, stamp(fire_at))


async def test_timers_fire_in_the_order_they_are_due(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    timers = [act.timer(n, START + timedelta(hours=10 - n)) for n in range(1, 4)]
    await worker.answer_turn(await worker.next(), *timers)
    await hub.clock.advance(timedelta(hours=20))
    events = (await worker.next()).orchestratorRequest.newEvents
    assert [event.timerFired.timerId for event in events[1:]] == [3, 2, 1]


async def test_raising_an_event_for_nobody_is_not_found(hub: Hub) -> None:
    request = pb.RaiseEventRequest(instanceId="none", name="x")
    assert await refused(hub.call("RaiseEvent", request)) is grpc.StatusCode.NOT_FOUND


async def test_a_suspended_instance_says_so_and_keeps_what_comes(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.task(1))
    await hub.call("SuspendInstance", pb.SuspendRequest(instanceId="wf", reason=text("lunch")))
    assert await hub.status() == "SUSPENDED"
    await worker.next()
    turn = await worker.next()
    assert turn.orchestratorRequest.newEvents[1].executionSuspended.input.value == "lunch"
    await worker.answer_turn(turn)
    assert await hub.status() == "SUSPENDED"
    await hub.call("ResumeInstance", pb.ResumeRequest(instanceId="wf", reason=text("back")))
    assert await hub.status() == "RUNNING"
    resumed = (await worker.next()).orchestratorRequest.newEvents[1].executionResumed
    assert resumed.input.value == "back"


async def test_suspending_twice_and_resuming_what_runs_change_nothing(hub: Hub) -> None:
    await hub.start()
    await hub.call("ResumeInstance", pb.ResumeRequest(instanceId="wf"))
    assert await hub.status() == "PENDING"
    for _ in range(2):
        await hub.call("SuspendInstance", pb.SuspendRequest(instanceId="wf"))
    assert await hub.status() == "SUSPENDED"
    missing = pb.SuspendRequest(instanceId="none")
    assert await refused(hub.call("SuspendInstance", missing)) is grpc.StatusCode.NOT_FOUND


async def test_an_instance_suspended_before_its_first_turn_does_not_begin(hub: Hub) -> None:
    await hub.start()
    await hub.call("SuspendInstance", pb.SuspendRequest(instanceId="wf"))
    worker = hub.worker()
    await worker.connect()
    assert await worker.nothing_comes()
    await hub.call("ResumeInstance", pb.ResumeRequest(instanceId="wf"))
    assert (await worker.next()).orchestratorRequest.newEvents[1].HasField("executionStarted")


async def test_terminate_wins_without_any_worker(hub: Hub) -> None:
    await hub.start()
    await hub.call("SuspendInstance", pb.SuspendRequest(instanceId="wf"))
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="wf", output=text('"x"')))
    state = await hub.wait()
    assert await hub.status() == "TERMINATED"
    assert state.output.value == '"x"'
    assert "executionTerminated" in kinds(await hub.history())


async def test_terminate_voids_the_turn_that_is_under_way(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    turn = await worker.next()
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="wf"))
    await worker.answer_turn(turn, act.task(1), act.complete())
    assert await hub.status() == "TERMINATED"
    assert await worker.nothing_comes()
    missing = pb.TerminateRequest(instanceId="none")
    assert await refused(hub.call("TerminateInstance", missing)) is grpc.StatusCode.NOT_FOUND


async def test_terminate_takes_the_children_along_when_asked(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.child(1, child_id="kid"))
    await worker.answer_turn(await worker.next(), act.child(1, child_id="grandkid"))
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="wf", recursive=True))
    assert [await hub.status(i) for i in ("wf", "kid", "grandkid")] == ["TERMINATED"] * 3


async def test_terminate_leaves_the_children_alone_when_not_asked(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.child(1, child_id="kid"))
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="wf"))
    assert await hub.status("kid") == "PENDING"


async def test_a_sub_orchestration_knows_its_parent_and_reports_to_it(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    turn = await worker.next()
    await worker.answer_turn(turn, act.child(7))
    child = await worker.next()
    started = child.orchestratorRequest.newEvents[1].executionStarted
    assert child.orchestratorRequest.instanceId == "wf:0007"
    assert (started.parentInstance.taskScheduledId, started.parentInstance.name.value) == (
        7,
        "flow",
    )
    parent = started.parentInstance.orchestrationInstance
    assert parent.instanceId == "wf"
    assert parent.executionId.value == turn.orchestratorRequest.executionId.value
    await worker.answer_turn(child, act.complete('"kid"'))
    event = (await worker.next()).orchestratorRequest.newEvents[1]
    assert event.subOrchestrationInstanceCompleted.taskScheduledId == 7
    assert event.subOrchestrationInstanceCompleted.result.value == '"kid"'
    assert (await hub.get("wf:0007")).orchestrationState.parentInstanceId.value == "wf"


async def test_a_failed_sub_orchestration_reports_the_whole_failure(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    inner = pb.TaskFailureDetails(errorType="I", errorMessage="n")
    failure = pb.TaskFailureDetails(errorType="E", errorMessage="m", innerFailure=inner)
    await hub.start()
    await worker.answer_turn(await worker.next(), act.child(1))
    await worker.answer_turn(await worker.next(), act.fail(failure))
    event = (await worker.next()).orchestratorRequest.newEvents[1]
    assert event.subOrchestrationInstanceFailed.failureDetails == failure


async def test_a_terminated_sub_orchestration_fails_its_task(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.child(1, child_id="kid"))
    await worker.next()
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="kid"))
    event = (await worker.next()).orchestratorRequest.newEvents[1]
    failed = event.subOrchestrationInstanceFailed
    assert failed.taskScheduledId == 1
    assert "'kid' was terminated" in failed.failureDetails.errorMessage


async def test_a_child_id_in_use_fails_the_task_and_spares_the_other(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start("kid", name="somebody")
    await worker.next()
    await hub.start()
    await worker.answer_turn(await worker.next(), act.child(1, child_id="kid"))
    event = (await worker.next()).orchestratorRequest.newEvents[1]
    failure = event.subOrchestrationInstanceFailed.failureDetails
    assert "already exists" in failure.errorMessage
    assert (await hub.get("kid")).orchestrationState.name == "somebody"


async def test_an_event_sent_by_an_orchestrator_reaches_the_other(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start("target")
    await worker.answer_turn(await worker.next(), act.task(1))
    await worker.next()
    await hub.start("sender")
    sent = pb.SendEventAction(
        instance=pb.OrchestrationInstance(instanceId="target"), name="hi", data=text("1")
    )
    action = pb.OrchestratorAction(id=3, sendEvent=sent)
    await worker.answer_turn(await worker.next(), action, act.complete())
    raised = (await worker.next()).orchestratorRequest.newEvents[1].eventRaised
    assert (raised.name, raised.input.value) == ("hi", "1")
    assert "eventSent" in kinds(await hub.history("sender"))


async def test_two_hundred_clients_can_wait_at_once(hub: Hub, worker: Worker, act: Actions) -> None:
    await hub.start()
    waiting = [asyncio.create_task(hub.wait()) for _ in range(200)]
    await worker.answer_turn(await worker.next(), act.complete())
    states = await asyncio.gather(*waiting)
    assert {state.output.value for state in states} == {'"done"'}


async def test_waiting_for_an_instance_that_is_not_there_ends_at_once(hub: Hub) -> None:
    request = pb.GetInstanceRequest(instanceId="none")
    response = await hub.call("WaitForInstanceCompletion", request)
    assert not response.exists


async def test_waiting_for_the_start_ends_with_the_first_turn(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    request = pb.GetInstanceRequest(instanceId="wf")
    waiting = asyncio.create_task(hub.call("WaitForInstanceStart", request))
    await worker.answer_turn(await worker.next(), act.task(1))
    state = (await waiting).orchestrationState
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_RUNNING
