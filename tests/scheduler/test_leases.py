"""Leases: work belongs to a worker's stream, and each result counts once."""

from durabletask.internal import orchestrator_service_pb2 as pb

from .conftest import Actions, Hub, Scheduler, Worker, kinds


async def test_work_of_a_lost_worker_goes_to_another_at_once(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    lost = await worker.next()
    await worker.lose()
    second = hub.worker()
    await second.connect()
    item = await second.next()
    assert item.orchestratorRequest.instanceId == "wf"
    assert item.completionToken != lost.completionToken


async def test_a_result_with_a_stale_token_is_dropped(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.task(1))
    lost = await worker.next()
    await worker.lose()
    second = hub.worker()
    await second.connect()
    item = await second.next()
    await second.answer_activity(lost, '"late"')
    assert await second.nothing_comes()
    await second.answer_activity(item, '"right"')
    request = (await second.next()).orchestratorRequest
    assert request.newEvents[1].taskCompleted.result.value == '"right"'


async def test_a_token_counts_once(hub: Hub, worker: Worker, act: Actions) -> None:
    await hub.start()
    turn = await worker.next()
    await worker.answer_turn(turn, act.task(1))
    await worker.answer_turn(turn, act.task(1))
    activity = await worker.next()
    await worker.answer_activity(activity, "1")
    await worker.answer_activity(activity, "2")
    request = (await worker.next()).orchestratorRequest
    assert kinds(list(request.newEvents)).count("taskCompleted") == 1
    assert kinds(await hub.history()).count("taskScheduled") == 1


async def test_a_token_of_one_kind_of_work_is_none_for_another(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    turn = await worker.next()
    await worker.answer_activity(turn, "1")
    await worker.answer_turn(turn, act.complete())
    assert (await hub.wait()).output.value == '"done"'


async def test_at_most_one_turn_of_an_instance_is_under_way(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await hub.start()
    turn = await worker.next()
    for name in ("a", "b"):
        await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name=name))
    assert await worker.nothing_comes()
    await worker.answer_turn(turn)
    request = (await worker.next()).orchestratorRequest
    assert kinds(list(request.newEvents)) == ["orchestratorStarted", "eventRaised", "eventRaised"]


async def test_a_worker_gets_no_more_than_it_asked_for(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.lose()
    small = hub.worker()
    small.request.maxConcurrentActivityWorkItems = 2
    await small.connect()
    await hub.start()
    await small.answer_turn(await small.next(), *[act.task(n) for n in range(1, 5)])
    first = await small.next()
    await small.next()
    assert await small.nothing_comes()
    await small.answer_activity(first, "1")
    kinds_of_next = {(await small.next()).WhichOneof("request") for _ in range(2)}
    assert kinds_of_next == {"activityRequest", "orchestratorRequest"}


async def test_work_that_is_given_back_is_handed_out_again(hub: Hub, worker: Worker) -> None:
    await hub.start()
    item = await worker.next()
    request = pb.AbandonOrchestrationTaskRequest(completionToken=item.completionToken)
    await hub.call("AbandonTaskOrchestratorWorkItem", request)
    again = await worker.next()
    assert again.orchestratorRequest.instanceId == "wf"
    assert again.completionToken != item.completionToken


async def test_two_workers_share_the_work(hub: Hub, worker: Worker, act: Actions) -> None:
    second = hub.worker()
    await second.connect()
    for number in range(4):
        await hub.start(f"wf{number}")
    items = [await worker.next() for _ in range(2)] + [await second.next() for _ in range(2)]
    assert {item.orchestratorRequest.instanceId for item in items} == {
        "wf0",
        "wf1",
        "wf2",
        "wf3",
    }


async def test_a_worker_gets_only_what_its_filters_name(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.lose()
    picky = hub.worker()
    picky.request.workItemFilters.orchestrations.add(name="mine")
    await picky.connect()
    await hub.start("theirs", name="other")
    await hub.start("mine", name="Mine")
    item = await picky.next()
    assert item.orchestratorRequest.instanceId == "mine"
    await picky.answer_turn(item, act.task(1))
    assert await picky.nothing_comes()
    everything = hub.worker()
    await everything.connect()
    found = {(await everything.next()).WhichOneof("request") for _ in range(2)}
    assert found == {"orchestratorRequest", "activityRequest"}


async def test_everything_unfinished_goes_on_after_a_restart(
    scheduler: Scheduler, act: Actions
) -> None:
    hub = await scheduler.hub()
    worker = hub.worker()
    await worker.connect()
    await hub.start("a")
    await hub.start("b")
    turn = await worker.next()
    await worker.answer_turn(turn, act.task(1))
    await scheduler.stop()
    await scheduler.start()
    hub = await scheduler.hub()
    worker = hub.worker()
    await worker.connect()
    items = [await worker.next() for _ in range(2)]
    assert {item.WhichOneof("request") for item in items} == {
        "orchestratorRequest",
        "activityRequest",
    }
    activity = next(item for item in items if item.HasField("activityRequest"))
    await worker.answer_activity(activity, "1")
    request = (await worker.next()).orchestratorRequest
    assert request.instanceId == turn.orchestratorRequest.instanceId
    assert kinds(list(request.newEvents)) == ["orchestratorStarted", "taskCompleted"]
