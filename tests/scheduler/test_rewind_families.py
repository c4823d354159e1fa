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
