"""Results of activities that come after the lease: after a cut stream, or a restart."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_runtime.clock import VirtualClock
from local_runtime.scheduler.dispatch import dispatcher
from local_runtime.scheduler.service.hub import Hub as ServedHub
from local_runtime.scheduler.storage.commits import Commits

from .conftest import PATIENCE, START, Actions, Hub, Scheduler, Worker, kinds, text


async def connected(hub: Hub) -> Worker:
    found = hub.worker()
    await found.connect()
    return found


async def activity(hub: Hub, worker: Worker, act: Actions) -> pb.WorkItem:
    """Let an instance schedule one activity, which the worker gets."""
    await hub.start()
    await worker.answer_turn(await worker.next(), act.task(1))
    return await worker.next()


async def restarted(scheduler: Scheduler) -> Hub:
    await scheduler.stop()
    await scheduler.start()
    return await scheduler.hub()


def results(events: list[pb.HistoryEvent]) -> list[str]:
    return [e.taskCompleted.result.value for e in events if e.HasField("taskCompleted")]


async def test_a_result_counts_after_a_restart_and_the_activity_does_not_run_again(
    scheduler: Scheduler, hub: Hub, worker: Worker, act: Actions
) -> None:
    item = await activity(hub, worker, act)
    hub = await restarted(scheduler)
    late = Worker(hub.client)
    await late.answer_activity(item, '"paid once"')
    second = await connected(hub)
    turn = await second.next()
    assert results(list(turn.orchestratorRequest.newEvents)) == ['"paid once"']
    await second.answer_turn(turn, act.complete())
    assert await second.nothing_comes()


async def test_a_result_from_before_a_restart_counts_though_the_activity_runs_again_elsewhere(
    scheduler: Scheduler, hub: Hub, worker: Worker, act: Actions
) -> None:
    first = await activity(hub, worker, act)
    hub = await restarted(scheduler)
    second = await connected(hub)
    again = await second.next()
    assert again.activityRequest.taskId == 1
    await second.answer_activity(first, '"first"')
    turn = await second.next()
    assert results(list(turn.orchestratorRequest.newEvents)) == ['"first"']
    await second.answer_activity(again, '"second"')
    await second.answer_turn(turn, act.complete())
    await hub.wait()
    assert results(await hub.history()) == ['"first"']


async def test_an_activity_that_has_its_result_does_not_run_again_when_its_second_worker_is_lost(
    scheduler: Scheduler, hub: Hub, worker: Worker, act: Actions
) -> None:
    first = await activity(hub, worker, act)
    hub = await restarted(scheduler)
    second, third = await connected(hub), await connected(hub)
    await asyncio.wait(
        [asyncio.create_task(each.next()) for each in (second, third)],
        return_when=asyncio.FIRST_COMPLETED,
    )
    await second.answer_activity(first, '"first"')
    await second.lose()
    await third.lose()
    fourth = await connected(hub)
    turn = await fourth.next()
    assert turn.HasField("orchestratorRequest")
    await fourth.answer_turn(turn, act.complete())
    assert await fourth.nothing_comes()


async def test_a_result_counts_when_its_stream_was_cut_and_nobody_else_has_the_activity(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    item = await activity(hub, worker, act)
    picky = hub.worker()
    picky.request.workItemFilters.orchestrations.add(name="flow")
    await picky.connect()
    await worker.lose()
    await picky.answer_activity(item, '"kept"')
    turn = await picky.next()
    assert results(list(turn.orchestratorRequest.newEvents)) == ['"kept"']
    everything = await connected(hub)
    await picky.answer_turn(turn, act.complete())
    assert await everything.nothing_comes()


async def test_a_result_counts_once_however_often_it_comes(
    scheduler: Scheduler, hub: Hub, worker: Worker, act: Actions
) -> None:
    item = await activity(hub, worker, act)
    await worker.answer_activity(item, '"1"')
    hub = await restarted(scheduler)
    second = await connected(hub)
    for _ in range(3):
        await second.answer_activity(item, '"2"')
    await second.answer_turn(await second.next(), act.complete())
    await hub.wait()
    assert results(await hub.history()) == ['"1"']


async def test_a_result_of_an_earlier_attempt_is_not_taken_for_the_next_one(
    scheduler: Scheduler, hub: Hub, worker: Worker, act: Actions
) -> None:
    first = await activity(hub, worker, act)
    failure = pb.TaskFailureDetails(errorType="E", errorMessage="m")
    await worker.answer_activity(first, failure=failure)
    hub = await restarted(scheduler)
    second = await connected(hub)
    # A retry uses the number of the task again.
    await second.answer_turn(await second.next(), act.task(1))
    again = await second.next()
    await second.answer_activity(first, '"of the first attempt"')
    await second.answer_activity(again, '"of the second"')
    await second.answer_turn(await second.next(), act.complete())
    await hub.wait()
    assert results(await hub.history()) == ['"of the second"']


async def test_a_token_that_was_given_back_counts_no_more(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    item = await activity(hub, worker, act)
    request = pb.AbandonActivityTaskRequest(completionToken=item.completionToken)
    await hub.call("AbandonTaskActivityWorkItem", request)
    await worker.answer_activity(item, '"given back"')
    again = await worker.next()
    assert again.HasField("activityRequest")
    await worker.answer_activity(again, '"right"')
    turn = await worker.next()
    assert results(list(turn.orchestratorRequest.newEvents)) == ['"right"']


@pytest.mark.parametrize(
    "token",
    [
        "task:",
        "task:a:b:c:d:e",
        "task:x:1:1",
        "task:x:1:1:2:other",
        "task:x:-1:99999:1:e",
        "x" * 99,
    ],
)
async def test_a_token_that_names_no_waiting_task_gets_an_ordinary_answer(
    hub: Hub, worker: Worker, act: Actions, token: str
) -> None:
    item = await activity(hub, worker, act)
    invented = pb.ActivityResponse(taskId=1, completionToken=token)
    await hub.call("CompleteActivityTask", invented)
    await worker.answer_activity(item, '"right"')
    turn = await worker.next()
    assert results(list(turn.orchestratorRequest.newEvents)) == ['"right"']


async def is_taken(worker: Worker, item: pb.WorkItem, result: str) -> bool:
    """Complete an activity; whether the disk took it."""
    response = pb.ActivityResponse(
        taskId=1, result=text(result), completionToken=item.completionToken
    )
    call = worker.client.stub.CompleteActivityTask(response, metadata=worker.client.metadata)
    code = await call.code()
    assert code in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
    return code is grpc.StatusCode.OK


async def test_a_result_that_the_disk_did_not_take_counts_when_it_comes_again(
    hub: Hub, worker: Worker, act: Actions, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = await activity(hub, worker, act)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as failing:
        failing.setattr(Commits, "commit", full)
        assert not await is_taken(worker, item, '"paid"')
    async with asyncio.timeout(PATIENCE):
        while not await is_taken(worker, item, '"paid"'):  # noqa: ASYNC110 - as workers do
            await asyncio.sleep(0.05)
    # It may have been handed out meanwhile; the next result is one too many.
    turn = item = await worker.next()
    if item.HasField("activityRequest"):
        turn = await worker.next()
        await worker.answer_activity(item, '"paid again"')
    assert results(list(turn.orchestratorRequest.newEvents)) == ['"paid"']
    await worker.answer_turn(turn, act.complete())
    await hub.wait()
    assert results(await hub.history()) == ['"paid"']
    assert await worker.nothing_comes()


# -- what the commit decides, whoever waits for it -----------------------------------------------


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[ServedHub]:
    hub = ServedHub.open("default", tmp_path / "hub.db", VirtualClock(START), "full")
    yield hub
    await hub.close()


class Straight:
    """A worker that calls the scheduler's functions without a connection between."""

    def __init__(self, hub: ServedHub) -> None:
        self.hub = hub
        self.items: asyncio.Queue[pb.WorkItem] = asyncio.Queue()
        request = pb.GetWorkItemsRequest()
        self.stream = dispatcher.WorkerStream(request, lambda data: self._put(data))
        hub.dispatcher.connect(self.stream)

    def _put(self, data: bytes) -> None:
        self.items.put_nowait(pb.WorkItem.FromString(data))

    async def hangs_up_on(self, call: object) -> None:
        """Make a call that is cancelled as soon as it waits for the commit."""
        calling = asyncio.Task(call, loop=asyncio.get_running_loop(), eager_start=True)
        assert not calling.done()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling


async def test_what_was_recorded_is_not_handed_out_again_when_its_worker_died_meanwhile(
    served: ServedHub, act: Actions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from local_runtime.scheduler.service import instance_calls, worker_calls

    monkeypatch.setattr(dispatcher, "RETRY_SECONDS", 0)
    worker = Straight(served)
    await instance_calls.start(served, pb.CreateInstanceRequest(instanceId="wf", name="flow"))
    turn = await worker.items.get()
    response = pb.OrchestratorResponse(
        instanceId="wf", completionToken=turn.completionToken, actions=[act.task(1)]
    )
    await worker.hangs_up_on(worker_calls.complete_turn(served, response))
    item = await worker.items.get()
    assert item.HasField("activityRequest")
    done = pb.ActivityResponse(taskId=1, completionToken=item.completionToken)
    await worker.hangs_up_on(worker_calls.complete_activity(served, done))
    again = await worker.items.get()
    assert kinds(list(again.orchestratorRequest.newEvents))[1:] == ["taskCompleted"]
    assert served.dispatcher.waiting(dispatcher.Kind.ACTIVITY) == 0
    await served.writer.submit(lambda tx: None)
    assert worker.items.empty()


# -- any order of losses --------------------------------------------------------------------------

STEPS = st.lists(st.sampled_from(["lose", "restart", "late", "answer", "again"]), max_size=8)


@given(steps=STEPS, which=st.data())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_in_any_order_of_losses_each_activity_gets_one_result_that_some_worker_gave(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], which: st.DataObject
) -> None:
    scheduler = Scheduler(tmp_path_factory.mktemp("late") / "data", VirtualClock(START))
    await scheduler.start()
    try:
        await _try_order(scheduler, steps, which)
    finally:
        await scheduler.stop()


async def _try_order(scheduler: Scheduler, steps: list[str], which: st.DataObject) -> None:
    hub = await scheduler.hub()
    worker = await connected(hub)
    known = [await activity(hub, worker, Actions())]
    answered: list[pb.WorkItem] = []
    turn: pb.WorkItem | None = None
    for step in [*steps, "restart", "answer"]:
        if turn is not None:
            break
        if step in ("lose", "restart"):
            await worker.lose()
            hub = await restarted(scheduler) if step == "restart" else hub
            worker = await connected(hub)
        else:
            item = known[-1] if step == "answer" else which.draw(st.sampled_from(known))
            await worker.answer_activity(item, f'"{known.index(item)}"')
            answered.append(item)
        async with asyncio.timeout(10):
            found = await _next_or_none(worker, wait=step in ("lose", "restart", "answer"))
        if found is not None and found.HasField("activityRequest"):
            known.append(found)
        turn = found if found is not None and found.HasField("orchestratorRequest") else None
    assert turn is not None
    (result,) = results(list(turn.orchestratorRequest.newEvents))
    assert result in [f'"{known.index(item)}"' for item in answered]
    await worker.answer_turn(turn, Actions.complete())
    await hub.wait()
    assert len(results(await hub.history())) == 1


async def _next_or_none(worker: Worker, *, wait: bool) -> pb.WorkItem | None:
    try:
        return await worker.next(10 if wait else 0.05)
    except TimeoutError:
        return None
