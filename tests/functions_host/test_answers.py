"""What a host does with its answers: each is delivered, and nothing is run twice meanwhile."""

import asyncio
import json
from pathlib import Path

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue
from host_process import APPS, WEBHOOK, running_host
from scripted_scheduler import ScriptedScheduler, scripted_scheduler
from storage_answers import until

from local_runtime.scheduler.client import MAX_MESSAGE_BYTES

APP = APPS / "paid"
CODES = grpc.StatusCode
PASSING = [
    CODES.UNAVAILABLE,
    CODES.RESOURCE_EXHAUSTED,
    CODES.DEADLINE_EXCEEDED,
    CODES.UNKNOWN,
    CODES.INTERNAL,
    CODES.CANCELLED,
    CODES.ABORTED,
]
TOO_LARGE = (CODES.RESOURCE_EXHAUSTED, "Received message larger than max (5 vs. 4)")


@pytest.fixture
async def scheduler():
    async with scripted_scheduler() as scheduler:
        yield scheduler


@pytest.fixture
async def host(scheduler):
    """A host that has opened its stream to the scheduler."""
    running = running_host(APP, scheduler.address, grace_seconds=0.2)
    part, http = await asyncio.to_thread(running.__enter__)
    yield part, http
    await asyncio.to_thread(running.__exit__, None, None, None)


def activity(folder: Path, token: str, wait_for: str = "release", number: int = 1) -> pb.WorkItem:
    request = pb.ActivityRequest(name="pays", taskId=number)
    request.orchestrationInstance.instanceId = "order"
    request.orchestrationInstance.executionId.value = "first"
    request.input.value = json.dumps([str(folder), wait_for])
    return pb.WorkItem(activityRequest=request, completionToken=token)


def batch(folder: Path, token: str, wait_for: str) -> pb.WorkItem:
    operation = pb.HistoryEvent()
    operation.entityOperationSignaled.operation = "wait"
    operation.entityOperationSignaled.requestId = f"of {wait_for}"
    operation.entityOperationSignaled.input.value = json.dumps([str(folder), wait_for])
    request = pb.EntityRequest(instanceId="@till@one", operationRequests=[operation])
    return pb.WorkItem(entityRequestV2=request, completionToken=token)


def turn(token: str) -> pb.WorkItem:
    started = pb.HistoryEvent(eventId=-1)
    started.executionStarted.name = "asks"
    started.executionStarted.orchestrationInstance.instanceId = "order"
    began = pb.HistoryEvent(eventId=-1, orchestratorStarted=pb.OrchestratorStartedEvent())
    request = pb.OrchestratorRequest(
        instanceId="order", executionId=StringValue(value="first"), newEvents=[began, started]
    )
    return pb.WorkItem(orchestratorRequest=request, completionToken=token)


async def begun(folder: Path, times: int = 1) -> None:
    await asyncio.to_thread(until, lambda: len(lines(folder, "begun")) >= times)


def lines(folder: Path, name: str) -> list[str]:
    file = folder / name
    return file.read_text().splitlines() if file.exists() else []


def release(folder: Path, name: str = "release", text: str = "") -> None:
    (folder / "new").write_text(text)
    (folder / "new").rename(folder / name)


@pytest.mark.parametrize("code", PASSING, ids=lambda code: code.name)
async def test_an_answer_is_sent_again_until_it_is_taken(
    scheduler: ScriptedScheduler, host, tmp_path, code
):
    stream = await scheduler.stream()
    scheduler.refusals = [(code, "not now")] * 4
    release(tmp_path)

    for item in (activity(tmp_path, "a"), batch(tmp_path, "b", "release"), turn("c")):
        stream.put_nowait(item)
    answers = {(await scheduler.completed()).completionToken for _ in range(3)}

    assert answers == {"a", "b", "c"}
    assert sorted(lines(tmp_path, "begun")) == ["release", "release"]
    assert host[0].log.count("it is sent again until it is") <= 3


async def test_repeating_is_told_of_once_when_it_begins_and_once_when_it_ends(
    scheduler: ScriptedScheduler, host, tmp_path
):
    stream = await scheduler.stream()
    scheduler.refusals = [(CODES.UNKNOWN, "not now")] * 5
    release(tmp_path)

    stream.put_nowait(activity(tmp_path, "a"))
    await scheduler.completed()

    name = "order: activity pays #1: its result"
    await asyncio.to_thread(host[0].wait_for_log, f"{name} was taken at last")
    assert host[0].log.count(name) == 2


async def test_a_result_that_is_too_large_becomes_a_failure_which_is_sent_until_taken(
    scheduler: ScriptedScheduler, host, tmp_path
):
    stream = await scheduler.stream()
    scheduler.refusals = [TOO_LARGE, (CODES.UNKNOWN, "not now"), (CODES.ABORTED, "not now")]
    release(tmp_path)

    stream.put_nowait(activity(tmp_path, "a"))
    answer = await scheduler.completed()

    assert answer.failureDetails.errorType == "ResultRefused"
    assert scheduler.tries == 4


@pytest.mark.parametrize(
    "refusals", [[TOO_LARGE, TOO_LARGE], [(CODES.INVALID_ARGUMENT, "no")] * 2,
                 [(CODES.NOT_FOUND, "no")], [(CODES.UNIMPLEMENTED, "no")]],
)  # fmt: skip
async def test_what_can_not_be_answered_is_given_back(
    scheduler: ScriptedScheduler, host, tmp_path, refusals
):
    stream = await scheduler.stream()
    scheduler.refusals = list(refusals)
    release(tmp_path)

    stream.put_nowait(activity(tmp_path, "a"))

    assert await scheduler.abandoned() == "a"
    assert scheduler.tries == len(refusals)


async def test_of_a_stream_that_ended_turns_are_left_and_paid_activities_are_delivered(
    scheduler: ScriptedScheduler, host, tmp_path
):
    stream = await scheduler.stream()
    scheduler.refuses_all = (CODES.UNAVAILABLE, "not now")
    release(tmp_path)
    stream.put_nowait(turn("of the old stream"))
    stream.put_nowait(activity(tmp_path, "paid"))
    await scheduler.tried(4)

    stream.put_nowait(None)
    await scheduler.stream()
    await asyncio.to_thread(host[0].wait_for_log, "a turn of the orchestration: its stream has")
    scheduler.refuses_all = None

    assert (await scheduler.completed()).completionToken == "paid"


@pytest.mark.parametrize("when", ["while it runs", "before its result is taken"])
async def test_an_activity_that_comes_again_runs_once_and_both_tokens_are_answered(
    scheduler: ScriptedScheduler, host, tmp_path, when
):
    first = await scheduler.stream()
    first.put_nowait(activity(tmp_path, "before"))
    await begun(tmp_path)
    if when == "before its result is taken":
        scheduler.refuses_all = (CODES.UNAVAILABLE, "not now")
        release(tmp_path)
        await scheduler.tried(1)
    first.put_nowait(None)
    second = await scheduler.stream()
    second.put_nowait(activity(tmp_path, "after"))
    await asyncio.to_thread(host[0].wait_for_log, "activity pays #1 came once more; it joins")
    scheduler.refuses_all = None
    release(tmp_path)
    answers = [await scheduler.completed() for _ in range(2)]

    assert {answer.completionToken for answer in answers} == {"before", "after"}
    assert [answer.result.value for answer in answers] == ['"paid"'] * 2
    assert lines(tmp_path, "begun") == ["release"]


async def test_an_activity_that_comes_again_right_after_its_late_result_was_taken_is_not_run(
    scheduler: ScriptedScheduler, host, tmp_path
):
    first = await scheduler.stream()
    first.put_nowait(activity(tmp_path, "before"))
    await begun(tmp_path)
    first.put_nowait(None)
    second = await scheduler.stream()
    release(tmp_path)
    await scheduler.completed()

    second.put_nowait(activity(tmp_path, "after"))

    assert (await scheduler.completed()).completionToken == "after"
    assert lines(tmp_path, "begun") == ["release"]


async def test_a_retry_after_a_failure_runs_again(scheduler: ScriptedScheduler, host, tmp_path):
    stream = await scheduler.stream()
    scheduler.refusals = [(CODES.UNKNOWN, "not now")] * 3
    release(tmp_path, text="fail")
    stream.put_nowait(activity(tmp_path, "first"))
    await scheduler.tried(1)
    release(tmp_path)

    stream.put_nowait(activity(tmp_path, "retry"))
    answers = {
        answer.completionToken: answer for answer in [await scheduler.completed() for _ in range(2)]
    }

    assert answers["first"].failureDetails.errorMessage == "no money"
    assert answers["retry"].result.value == '"paid"'


async def test_other_work_of_the_same_instance_is_not_joined(
    scheduler: ScriptedScheduler, host, tmp_path
):
    stream = await scheduler.stream()

    stream.put_nowait(activity(tmp_path, "a"))
    stream.put_nowait(activity(tmp_path, "b", number=2))
    stream.put_nowait(activity(tmp_path, "c", wait_for="other"))
    await begun(tmp_path, 3)

    assert "came once more" not in host[0].log


async def test_a_batch_that_comes_again_is_joined_and_another_of_the_entity_waits(
    scheduler: ScriptedScheduler, host, tmp_path
):
    first = await scheduler.stream()
    first.put_nowait(batch(tmp_path, "before", "one"))
    await begun(tmp_path)
    first.put_nowait(None)
    second = await scheduler.stream()
    second.put_nowait(batch(tmp_path, "other", "two"))
    second.put_nowait(batch(tmp_path, "after", "one"))
    await asyncio.to_thread(host[0].wait_for_log, "@till@one: a batch of operations came once more")
    assert lines(tmp_path, "begun") == ["one"]
    release(tmp_path, "one", "1")
    await begun(tmp_path, 2)
    assert lines(tmp_path, "ended") == ["one"]
    release(tmp_path, "two", "2")

    while "other" not in {(answer := await scheduler.completed()).completionToken}:
        assert answer.results[0].success.result.value == '"1"'
    assert lines(tmp_path, "begun") == ["one", "two"]


async def test_a_batch_whose_stream_ended_while_it_waited_is_not_run(
    scheduler: ScriptedScheduler, host, tmp_path
):
    stream = await scheduler.stream()
    for token, name in (("a", "one"), ("b", "two")):
        stream.put_nowait(batch(tmp_path, token, name))
    await begun(tmp_path)
    stream.put_nowait(None)
    stream = await scheduler.stream()
    release(tmp_path, "one")
    stream.put_nowait(batch(tmp_path, "c", "three"))
    await begun(tmp_path, 2)

    assert lines(tmp_path, "begun") == ["one", "three"]


async def test_a_stream_on_which_nothing_comes_any_more_is_opened_again(
    scheduler: ScriptedScheduler, host
):
    await scheduler.stream()
    scheduler.silent = True
    await scheduler.stream()

    await asyncio.to_thread(host[0].wait_for_log, "nothing came for 15 s, not even a ping")


async def test_a_host_says_how_large_a_message_it_takes(scheduler: ScriptedScheduler, host):
    await scheduler.stream()

    assert scheduler.metadata[0]["x-max-message-bytes"] == str(MAX_MESSAGE_BYTES)


@pytest.mark.parametrize("code", PASSING, ids=lambda code: code.name)
async def test_a_start_that_is_open_is_repeated_as_the_same_start(
    scheduler: ScriptedScheduler, host, code
):
    await scheduler.stream()
    scheduler.refusals = [(code, "it may have started")] * 3

    reply = await asyncio.to_thread(host[1].post, f"{WEBHOOK}/orchestrators/asks")

    assert (reply.status_code, len(scheduler.starts)) == (202, 4)
    assert {start.instanceId for start in scheduler.starts} == {reply.json()["id"]}
    assert len({start.executionId.value for start in scheduler.starts}) == 1
    assert scheduler.starts[0].executionId.value
