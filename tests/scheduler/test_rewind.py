"""Rewinding a failed instance, while others tell, suspend or terminate it."""

from durabletask.internal import orchestrator_service_pb2 as pb

from .conftest import Actions, Hub, Worker, kinds

BROKEN = pb.TaskFailureDetails(errorType="ValueError", errorMessage="broken")


async def fail(hub: Hub, worker: Worker, act: Actions) -> None:
    """Let an instance fail after an activity that failed."""
    await hub.start()
    await worker.answer_turn(await worker.next(), act.task(1))
    await worker.answer_activity(await worker.next(), failure=BROKEN)
    await worker.answer_turn(await worker.next(), act.fail(BROKEN))


def cleaned(item: pb.WorkItem) -> pb.OrchestratorAction:
    """What an SDK worker answers the turn of a rewind with: the history without its failures."""
    request = item.orchestratorRequest
    gone = ("taskScheduled", "taskFailed", "executionCompleted")
    kept = [
        event
        for event in [*request.pastEvents, *request.newEvents]
        if event.WhichOneof("eventType") not in gone
    ]
    started = next(event for event in kept if event.HasField("executionStarted"))
    started.executionStarted.orchestrationInstance.executionId.value = "again"
    rewind = pb.RewindOrchestrationAction(newHistory=kept)
    return pb.OrchestratorAction(id=-1, rewindOrchestration=rewind)


async def rewind(hub: Hub) -> None:
    await hub.call("RewindInstance", pb.RewindInstanceRequest(instanceId="wf"))


async def test_what_comes_during_a_rewind_follows_the_bare_turn(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await fail(hub, worker, act)
    await rewind(hub)
    turn = await worker.next()
    assert kinds(list(turn.orchestratorRequest.newEvents))[1:] == ["executionRewound"]
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="go"))
    await worker.answer_turn(turn, cleaned(turn))
    again = (await worker.next()).orchestratorRequest
    assert kinds(list(again.newEvents)) == ["orchestratorStarted", "eventRaised"]


async def test_an_instance_suspended_during_a_rewind_gets_its_bare_turn_first(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await fail(hub, worker, act)
    await rewind(hub)
    turn = await worker.next()
    await hub.call("SuspendInstance", pb.SuspendRequest(instanceId="wf"))
    await worker.answer_turn(turn, cleaned(turn))
    bare = await worker.next()
    assert kinds(list(bare.orchestratorRequest.newEvents)) == ["orchestratorStarted"]
    await worker.answer_turn(bare, act.task(1))
    items = [await worker.next(), await worker.next()]
    turn = next(item for item in items if item.HasField("orchestratorRequest"))
    assert kinds(list(turn.orchestratorRequest.newEvents))[1:] == ["executionSuspended"]


async def test_terminating_during_a_rewind_ends_the_history_once(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await fail(hub, worker, act)
    await rewind(hub)
    turn = await worker.next()
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="wf"))
    await worker.answer_turn(turn, cleaned(turn))
    assert await hub.status() == "TERMINATED"
    events = await hub.history()
    assert kinds(events).count("executionCompleted") == 1
    assert kinds(events)[-1] == "executionCompleted"
    status = events[-1].executionCompleted.orchestrationStatus
    assert status == pb.ORCHESTRATION_STATUS_TERMINATED


async def test_one_that_ends_before_it_is_rewound_tells_that_it_was_to_be(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.fail(BROKEN))
    await worker.lose()
    await rewind(hub)
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="wf"))
    events = kinds(await hub.history())
    assert events.count("executionCompleted") == 1
    assert events[-5:] == [
        "orchestratorStarted",
        "executionRewound",
        "executionTerminated",
        "orchestratorCompleted",
        "executionCompleted",
    ]


async def test_a_rewind_that_a_worker_cannot_do_ends_the_history_once(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await fail(hub, worker, act)
    await rewind(hub)
    await worker.answer_turn(await worker.next(), act.fail(BROKEN))
    assert await hub.status() == "FAILED"
    events = await hub.history()
    assert kinds(events).count("executionCompleted") == 1
    assert kinds(events)[-1] == "executionCompleted"
