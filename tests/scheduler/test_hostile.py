"""Answers and requests that make no sense, one by one: what becomes of each."""

import logging
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from .audit import faults
from .conftest import START, Actions, Hub, Scheduler, Worker, kinds
from .hostile import YEAR_9999, nested

INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def refused(worker: Worker, item: pb.WorkItem, *actions: pb.OrchestratorAction) -> bool:
    """Whether an answer is refused, and its turn handed out again."""
    with pytest.raises(grpc.RpcError) as raised:
        await worker.answer_turn(item, *actions)
    again = await worker.next()
    await worker.answer_turn(again, Actions.complete())
    instance = again.orchestratorRequest.instanceId
    return raised.value.code() is INVALID and instance == item.orchestratorRequest.instanceId


async def begin(hub: Hub, worker: Worker, name: str = "wf") -> pb.WorkItem:
    await hub.start(name)
    return await worker.next()


@pytest.mark.parametrize("child_id", ["@a@b", "x" * 513, "a\nERROR forged", "a\x00b", "wf"])
async def test_a_child_whose_id_cannot_be_fails_its_task(
    scheduler: Scheduler, hub: Hub, worker: Worker, act: Actions, child_id: str
) -> None:
    await worker.answer_turn(await begin(hub, worker), act.child(1, child_id=child_id))
    (_, failed) = (await worker.next()).orchestratorRequest.newEvents
    details = failed.subOrchestrationInstanceFailed.failureDetails
    assert details.errorType in ("InvalidInstanceId", "OrchestrationAlreadyExists")
    assert faults(scheduler.folder / "default.taskhub.db") == []


async def test_a_circle_of_parents_ends_when_it_is_terminated(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.answer_turn(
        await begin(hub, worker, "a"), act.child(1, child_id="b"), act.complete()
    )
    await worker.answer_turn(await worker.next(), act.child(1, child_id="a"), act.complete())
    await worker.answer_turn(await worker.next(), act.child(1, child_id="b"))
    await worker.answer_turn(await worker.next())
    await hub.call("TerminateInstance", pb.TerminateRequest(instanceId="a", recursive=True))
    assert [await hub.status("a"), await hub.status("b")] == ["TERMINATED", "TERMINATED"]
    purge = pb.PurgeInstancesRequest(instanceId="a", recursive=True)
    assert (await hub.call("PurgeInstances", purge)).deletedInstanceCount == 2


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(YEAR_9999 + 1, 0), (2**63 - 1, 0), (-(2**63), 0), (0, -1)]
)
async def test_a_timer_for_no_time_is_refused(
    hub: Hub, worker: Worker, act: Actions, seconds: int, nanos: int
) -> None:
    timer = pb.CreateTimerAction(fireAt=Timestamp(seconds=seconds, nanos=nanos))
    item = await begin(hub, worker)
    assert await refused(worker, item, pb.OrchestratorAction(id=1, createTimer=timer))


async def test_a_timer_of_the_last_second_keeps_no_other_from_firing(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    actions = [act.timer(1, last), act.timer(2, datetime(1, 1, 1, tzinfo=UTC))]
    await worker.answer_turn(await begin(hub, worker), *actions)
    past = await worker.next()
    assert past.orchestratorRequest.newEvents[1].timerFired.timerId == 2
    await worker.answer_turn(past, act.timer(3, START + timedelta(seconds=1)))
    await hub.clock.advance(timedelta(seconds=2))
    fired = (await worker.next()).orchestratorRequest.newEvents[1].timerFired
    assert fired.timerId == 3


@pytest.mark.parametrize("target", ["@counter@a", "@x", "nobody", ""])
async def test_an_event_for_whoever_does_not_listen_is_dropped(
    scheduler: Scheduler, hub: Hub, worker: Worker, act: Actions, target: str
) -> None:
    sent = pb.SendEventAction(instance=pb.OrchestrationInstance(instanceId=target), name="e")
    event = pb.OrchestratorAction(id=1, sendEvent=sent)
    await worker.answer_turn(await begin(hub, worker), event, act.complete())
    assert await hub.status() == "COMPLETED"
    assert await worker.nothing_comes()
    assert faults(scheduler.folder / "default.taskhub.db") == []


async def test_an_event_name_of_a_megabyte_arrives(hub: Hub, worker: Worker) -> None:
    await worker.answer_turn(await begin(hub, worker))
    name = "e" * 1_000_000
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name=name))
    (_, raised) = (await worker.next()).orchestratorRequest.newEvents
    assert raised.eventRaised.name == name


async def test_a_name_cannot_forge_a_line_of_the_log(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "local_runtime.scheduler")
    await hub.start()
    forged = "x\nERROR: all is lost"
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name=forged))
    stale = pb.OrchestratorResponse(instanceId=forged, completionToken="none")
    await hub.call("CompleteOrchestratorTask", stale)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("all is lost" in line for line in lines) == 2
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize("second", ["@b", "b", "@@b", "@A@k", "@b@" + "k" * 600])
async def test_a_lock_request_that_could_not_go_on_is_refused(
    hub: Hub, worker: Worker, act: Actions, second: str
) -> None:
    request = pb.EntityLockRequestedEvent(criticalSectionId="cs", lockSet=["@a@k", second])
    item = await begin(hub, worker)
    assert await refused(worker, item, act.entity(1, entityLockRequested=request))
    await hub.call("SignalEntity", pb.SignalEntityRequest(instanceId="@a@k", name="add"))
    assert (await worker.next()).entityRequestV2.instanceId == "@a@k"


async def test_a_lock_asked_for_and_left_behind_by_continue_as_new_is_not_taken(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    request = pb.EntityLockRequestedEvent(criticalSectionId="cs", lockSet=["@a@k"])
    lock = act.entity(1, entityLockRequested=request)
    await worker.answer_turn(await begin(hub, worker), lock, act.anew("1"))
    await worker.answer_turn(await worker.next())
    await hub.call("SignalEntity", pb.SignalEntityRequest(instanceId="@a@k", name="add"))
    assert (await worker.next()).HasField("entityRequestV2")


async def test_an_answer_that_ends_twice_is_refused(hub: Hub, worker: Worker, act: Actions) -> None:
    assert await refused(worker, await begin(hub, worker), act.complete("1"), act.complete("2"))
    assert (await hub.wait()).output.value == '"done"'


async def test_one_that_ends_and_terminates_itself_ends_once(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.answer_turn(await begin(hub, worker), act.child(1, child_id="kid"))
    ended = pb.TerminateOrchestrationAction(instanceId="kid", recurse=True)
    itself = pb.OrchestratorAction(id=1, terminateOrchestration=ended)
    await worker.answer_turn(await worker.next(), itself, act.complete('"kept"'))
    assert (await hub.wait("kid")).output.value == '"kept"'
    (_, told) = (await worker.next()).orchestratorRequest.newEvents
    assert told.subOrchestrationInstanceCompleted.result.value == '"kept"'
    assert kinds(await hub.history("kid")).count("executionCompleted") == 1


async def test_a_child_that_could_not_start_is_no_matter_of_the_next_generation(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.answer_turn(await begin(hub, worker), act.child(1, child_id="wf"), act.anew("1"))
    request = (await worker.next()).orchestratorRequest
    assert kinds(list(request.newEvents)) == ["orchestratorStarted", "executionStarted"]


async def test_only_what_is_for_the_instance_is_carried_over(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    carried = [
        pb.HistoryEvent(executionRewound=pb.ExecutionRewoundEvent()),
        pb.HistoryEvent(executionStarted=pb.ExecutionStartedEvent(name="other")),
        pb.HistoryEvent(),
        pb.HistoryEvent(eventRaised=pb.EventRaisedEvent(name="kept")),
    ]
    await worker.answer_turn(await begin(hub, worker), act.anew("1", *carried))
    request = (await worker.next()).orchestratorRequest
    assert kinds(list(request.newEvents))[1:] == ["executionStarted", "eventRaised"]
    assert request.newEvents[1].executionStarted.name == "flow"


async def test_a_failure_nested_without_end_is_cut_and_arrives(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    deep = nested(90)
    deep.properties["p"].list_value.values.add().string_value = "kept"
    value = deep.properties["q"]
    for _ in range(20):
        value = value.list_value.values.add()
    await worker.answer_turn(await begin(hub, worker), act.task(1))
    await worker.answer_activity(await worker.next(), failure=deep)
    item = await worker.next()
    failure = item.orchestratorRequest.newEvents[1].taskFailed.failureDetails
    assert (failure.errorMessage, list(failure.properties)) == ("89", ["p"])
    await worker.answer_turn(item, act.fail(nested(90)))
    assert (await hub.wait()).failureDetails.innerFailure.errorMessage == "88"


async def test_a_rewind_that_nobody_asked_for_is_refused(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    item = await begin(hub, worker)
    started = item.orchestratorRequest.newEvents[1]
    rewind = pb.RewindOrchestrationAction(newHistory=[started])
    assert await refused(worker, item, pb.OrchestratorAction(id=1, rewindOrchestration=rewind))


async def test_a_rewound_history_does_not_reach_out_for_others(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await worker.answer_turn(await begin(hub, worker, "other"))
    item = await begin(hub, worker)
    await worker.answer_turn(item, act.fail(nested(1)))
    await hub.call("RewindInstance", pb.RewindInstanceRequest(instanceId="wf"))
    item = await worker.next()
    started = item.orchestratorRequest.pastEvents[1]
    started.executionStarted.orchestrationInstance.executionId.value = "anew"
    child = pb.SubOrchestrationInstanceCreatedEvent(instanceId="other", name="flow")
    foreign = pb.HistoryEvent(eventId=1, subOrchestrationInstanceCreated=child)
    rewind = pb.RewindOrchestrationAction(newHistory=[started, foreign])
    await worker.answer_turn(item, pb.OrchestratorAction(id=1, rewindOrchestration=rewind))
    events = (await worker.next()).orchestratorRequest.newEvents
    failure = events[1].subOrchestrationInstanceFailed.failureDetails
    assert failure.errorType == "OrchestrationAlreadyExists"


async def test_tasks_of_the_same_number_all_run(hub: Hub, worker: Worker, act: Actions) -> None:
    await worker.answer_turn(await begin(hub, worker), act.task(1), act.task(1))
    for _ in range(2):
        await worker.answer_activity(await worker.next(), '"r"')
    await worker.answer_turn(await worker.next(), act.complete())
    assert (await hub.wait()).output.value == '"done"'


async def test_operations_without_a_result_come_again_after_a_pause(
    hub: Hub, worker: Worker
) -> None:
    await hub.call("SignalEntity", pb.SignalEntityRequest(instanceId="@a@k", name="add"))
    await worker.answer_entity(await worker.next(), "1")
    assert await worker.nothing_comes()
    assert len((await worker.next()).entityRequestV2.operationRequests) == 1
    found = await hub.call("GetEntity", pb.GetEntityRequest(instanceId="@a@k"))
    assert not found.exists


async def test_an_entity_is_purged_in_any_spelling(hub: Hub) -> None:
    await hub.call("SignalEntity", pb.SignalEntityRequest(instanceId="@a@k", name="add"))
    purge = pb.PurgeInstancesRequest(instanceId="@A@k")
    assert (await hub.call("PurgeInstances", purge)).deletedInstanceCount == 1


async def test_bounds_without_bounds_are_no_fault_of_the_disk(hub: Hub) -> None:
    await hub.start()
    many = [pb.ORCHESTRATION_STATUS_RUNNING] * 40_000
    query = pb.InstanceQuery(runtimeStatus=many)
    found = await hub.call("QueryInstances", pb.QueryInstancesRequest(query=query))
    assert list(found.orchestrationState) == []
    wanted = pb.PurgeInstanceFilter(runtimeStatus=many, timeout=Duration(seconds=2**62))
    request = pb.PurgeInstancesRequest(purgeInstanceFilter=wanted)
    assert (await hub.call("PurgeInstances", request)).isComplete.value


async def test_a_time_that_is_none_is_refused(hub: Hub) -> None:
    never = Timestamp(seconds=2**62)
    query = pb.QueryInstancesRequest(query=pb.InstanceQuery(createdTimeFrom=never))
    for call in (hub.call("QueryInstances", query), hub.start(scheduledStartTimestamp=never)):
        with pytest.raises(grpc.RpcError) as raised:
            await call
        assert raised.value.code() is INVALID


async def test_text_that_is_none_is_refused(scheduler: Scheduler) -> None:
    lone_surrogate = pb.GetInstanceRequest(instanceId="???").SerializeToString()
    lone_surrogate = lone_surrogate.replace(b"???", b"\xed\xa0\x80")
    async with grpc.aio.insecure_channel(scheduler.address) as channel:
        with pytest.raises(grpc.RpcError) as raised:
            await channel.unary_unary("/TaskHubSidecarService/GetInstance")(lone_surrogate)
    assert raised.value.code() is INVALID


async def test_an_error_about_something_huge_is_short(hub: Hub) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        await hub.history("ä" * 100_000)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert "no orchestration instance" in raised.value.details()
