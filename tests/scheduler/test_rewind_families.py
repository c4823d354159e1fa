"""Rewinding families: which child belongs to which task, and to which run of its parent."""

from durabletask.internal import orchestrator_service_pb2 as pb

from .conftest import Actions, Hub, Worker
from .killing import answers, rewound

FAILURE = pb.TaskFailureDetails(errorType="E", errorMessage="m")
COMPLETED = "subOrchestrationInstanceCompleted"
REWIND = pb.RewindInstanceRequest(instanceId="wf")


async def clean(worker: Worker, item: pb.WorkItem) -> None:
    request = item.orchestratorRequest
    await worker.answer_turn(item, rewound([*request.pastEvents, *request.newEvents]))


async def fail_with_child(hub: Hub, worker: Worker, *more: pb.OrchestratorAction) -> None:
    """An instance `wf` whose child `c` fails, and it with it; then it is rewound."""
    await hub.start()
    actions = [Actions.child(1, child_id="c"), *more]
    await worker.answer_turn(await worker.next(), *actions)
    turns = [await worker.next() for _ in range(2 if more else 1)]
    for item in sorted(turns, key=lambda item: item.orchestratorRequest.instanceId):
        failing = item.orchestratorRequest.instanceId == "c"
        await worker.answer_turn(item, *([Actions.fail(FAILURE)] if failing else []))
    await worker.answer_turn(await worker.next(), Actions.fail(FAILURE))
    await hub.call("RewindInstance", REWIND)
    await clean(worker, await worker.next())


async def both(worker: Worker) -> dict[str, pb.WorkItem]:
    items = [await worker.next(), await worker.next()]
    return {item.orchestratorRequest.instanceId: item for item in items}


async def test_a_second_task_for_the_same_child_does_not_take_it_from_the_first(
    hub: Hub, worker: Worker
) -> None:
    await fail_with_child(hub, worker, Actions.child(2, child_id="c"))
    items = await both(worker)
    await worker.answer_turn(items["wf"])
    await clean(worker, items["c"])
    await worker.answer_turn(await worker.next(), Actions.complete())
    await worker.answer_turn(await worker.next(), Actions.complete())
    history = await hub.history()
    completed = answers(history, COMPLETED)
    assert [done.taskScheduledId for done in completed] == [1]
    failed = answers(history, "subOrchestrationInstanceFailed")
    assert [done.failureDetails.errorType for done in failed] == ["OrchestrationAlreadyExists"]


async def test_a_child_reports_to_the_run_of_its_parent_that_was_rewound_last(
    hub: Hub, worker: Worker
) -> None:
    await fail_with_child(hub, worker)
    items = await both(worker)  # the child's is not answered before its parent fails again
    await worker.answer_turn(items["wf"], Actions.fail(FAILURE))
    await hub.call("RewindInstance", REWIND)
    await clean(worker, await worker.next())
    await worker.answer_turn(await worker.next())
    await clean(worker, items["c"])
    await worker.answer_turn(await worker.next(), Actions.complete())
    told = answers(list((await worker.next()).orchestratorRequest.newEvents), COMPLETED)
    assert [done.taskScheduledId for done in told] == [1]


async def rewound_while_the_child_ends(
    hub: Hub, worker: Worker, end: pb.OrchestratorAction
) -> None:
    """An instance `wf` fails beside its child `c`, which ends after the rewind has begun."""
    await hub.start()
    await worker.answer_turn(await worker.next(), Actions.child(1, child_id="c"))
    child = await worker.next()
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="go"))
    await worker.answer_turn(await worker.next(), Actions.fail(FAILURE))
    await hub.call("RewindInstance", REWIND)
    rewinding = await worker.next()
    await worker.answer_turn(child, end)
    await clean(worker, rewinding)


async def test_a_child_that_fails_during_the_rewind_goes_on_and_is_told_of_once(
    hub: Hub, worker: Worker
) -> None:
    await rewound_while_the_child_ends(hub, worker, Actions.fail(FAILURE))
    items = await both(worker)
    await worker.answer_turn(items["wf"])
    await clean(worker, items["c"])
    await worker.answer_turn(await worker.next(), Actions.complete())
    last = await worker.next()
    assert last.orchestratorRequest.instanceId == "wf"
    await worker.answer_turn(last, Actions.complete())
    history = await hub.history()
    assert [done.taskScheduledId for done in answers(history, COMPLETED)] == [1]
    assert not answers(history, "subOrchestrationInstanceFailed")


async def test_a_child_that_completes_during_the_rewind_does_not_run_again(
    hub: Hub, worker: Worker
) -> None:
    await rewound_while_the_child_ends(hub, worker, Actions.complete())
    item = await worker.next()
    told = answers(list(item.orchestratorRequest.newEvents), COMPLETED)
    assert [done.taskScheduledId for done in told] == [1]
    await worker.answer_turn(item, Actions.complete())
    started = await hub.call("GetInstance", pb.GetInstanceRequest(instanceId="c"))
    assert started.orchestrationState.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED


async def parent_and_child(hub: Hub, worker: Worker) -> pb.WorkItem:
    """Start an instance `wf` with a child `c`; return the child's first turn."""
    await hub.start()
    await worker.answer_turn(await worker.next(), Actions.child(1, child_id="c"))
    return await worker.next()


async def test_a_child_that_completed_after_its_parent_failed_does_not_run_again(
    hub: Hub, worker: Worker
) -> None:
    child = await parent_and_child(hub, worker)
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="go"))
    await worker.answer_turn(await worker.next(), Actions.fail(FAILURE))
    await worker.answer_turn(child, Actions.complete('"charged"'))
    await hub.call("RewindInstance", REWIND)
    await clean(worker, await worker.next())
    item = await worker.next()
    assert item.orchestratorRequest.instanceId == "wf"
    (told,) = answers(list(item.orchestratorRequest.newEvents), COMPLETED)
    assert (told.taskScheduledId, told.result.value) == (1, '"charged"')


async def test_a_child_that_is_rewound_by_itself_does_not_tell_its_parent_a_second_time(
    hub: Hub, worker: Worker
) -> None:
    await worker.answer_turn(await parent_and_child(hub, worker), Actions.fail(FAILURE))
    await worker.answer_turn(await worker.next())  # the parent knows, and goes on
    await hub.call("RewindInstance", pb.RewindInstanceRequest(instanceId="c"))
    await clean(worker, await worker.next())
    await worker.answer_turn(await worker.next(), Actions.complete('"late"'))
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="go"))
    await worker.answer_turn(await worker.next(), Actions.fail(FAILURE))
    history = await hub.history()
    assert not answers(history, COMPLETED)
    # Rewound now, the parent takes the result that the child has meanwhile.
    await hub.call("RewindInstance", REWIND)
    await clean(worker, await worker.next())
    (told,) = answers(list((await worker.next()).orchestratorRequest.newEvents), COMPLETED)
    assert (told.taskScheduledId, told.result.value) == (1, '"late"')


async def test_a_task_does_not_take_the_child_of_an_earlier_generation(
    hub: Hub, worker: Worker
) -> None:
    child = await parent_and_child(hub, worker)
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="go"))
    await worker.answer_turn(await worker.next(), Actions.anew("1"))
    await worker.answer_turn(await worker.next(), Actions.child(1, child_id="c"))
    await worker.answer_turn(await worker.next(), Actions.fail(FAILURE))  # "c" is in use
    await hub.call("RewindInstance", REWIND)
    await worker.answer_turn(child, Actions.complete('"of the first"'))
    await clean(worker, await worker.next())
    items = await both(worker)
    assert not answers(list(items["wf"].orchestratorRequest.newEvents), COMPLETED)
    assert not items["c"].orchestratorRequest.pastEvents, "it runs anew"
