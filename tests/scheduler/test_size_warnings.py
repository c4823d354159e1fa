"""What is too large for the managed scheduler works here, and the log says so, once."""

import logging
from collections.abc import Callable

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine.managed_limits import (
    ID_CHARACTERS,
    MESSAGE_BYTES,
    PAYLOAD_BYTES,
)
from local_runtime.scheduler.service import size_warnings

from .conftest import Actions, Hub, Worker, text

HUGE = "é" * (PAYLOAD_BYTES // 2) + "x"  # one byte too many
OK = pb.OperationResult(success=pb.OperationResultSuccess())

type Warnings = Callable[[], list[str]]


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Warnings:
    caplog.set_level(logging.WARNING, "local_runtime.scheduler")

    def found() -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if record.levelno == logging.WARNING and "managed scheduler" in record.getMessage()
        ]

    return found


async def signal(hub: Hub, entity: str = "@counter@a", data: str | None = None) -> None:
    request = pb.SignalEntityRequest(instanceId=entity, name="add", requestId="r", input=text(data))
    await hub.call("SignalEntity", request)


async def test_a_large_input_is_told_with_its_size_and_the_limit(
    hub: Hub, worker: Worker, act: Actions, warnings: Warnings
) -> None:
    await hub.start(input=text(HUGE))
    await worker.answer_turn(await worker.next(), act.complete())
    assert (await hub.wait()).input.value == HUGE
    [warning] = warnings()
    assert warning.startswith("wf (flow): its input has 1000001 bytes. ")
    assert "takes at most 1000000 and would refuse it" in warning


async def test_what_just_fits_is_not_worth_a_word(
    hub: Hub, worker: Worker, act: Actions, warnings: Warnings
) -> None:
    await hub.start("i" * ID_CHARACTERS, input=text(HUGE[:-1]))
    await worker.answer_turn(await worker.next(), act.task(1, given=HUGE[:-1]), status=HUGE[:-1])
    await worker.answer_activity(await worker.next(), HUGE[:-1])
    await worker.next()
    assert warnings() == []


async def test_the_same_is_told_once_for_each_name(
    hub: Hub, worker: Worker, act: Actions, warnings: Warnings
) -> None:
    for number in range(3):
        await hub.start(f"a{number}", name="a", input=text(HUGE))
        await hub.start(f"b{number}", name="b", input=text(HUGE))
    assert [warning.partition(":")[0] for warning in warnings()] == ["a0 (a)", "b0 (b)"]


async def test_large_event_data_is_told(hub: Hub, warnings: Warnings) -> None:
    await hub.start()
    await hub.call("RaiseEvent", pb.RaiseEventRequest(instanceId="wf", name="e", input=text(HUGE)))
    [warning] = warnings()
    assert warning.startswith("wf: the data of event 'e' has 1000001 bytes. ")


SENT = pb.EntityOperationSignaledEvent(
    operation="add", targetInstanceId=text("@counter@a"), input=text(HUGE)
)


@pytest.mark.parametrize(
    ("action", "what"),
    [
        (Actions.task(1, given=HUGE), "the input of activity 'step'"),
        (Actions.complete(HUGE), "its output"),
        (Actions.anew(HUGE), "its output"),
        (
            pb.OrchestratorAction(
                createSubOrchestration=pb.CreateSubOrchestrationAction(
                    name="child", input=text(HUGE)
                )
            ),
            "the input of sub-orchestration 'child'",
        ),
        (
            pb.OrchestratorAction(sendEvent=pb.SendEventAction(name="e", data=text(HUGE))),
            "the data of event 'e'",
        ),
        (Actions.entity(1, entityOperationSignaled=SENT), "the input of operation 'add'"),
    ],
    ids=["activity", "output", "anew", "child", "event", "signal"],
)
async def test_what_is_large_in_an_answer_to_a_turn_is_told(
    hub: Hub, worker: Worker, action: pb.OrchestratorAction, what: str, warnings: Warnings
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), action)
    [warning] = warnings()
    assert warning.startswith(f"wf (flow): {what} has 1000001 bytes. ")


async def test_a_large_custom_status_is_told(hub: Hub, worker: Worker, warnings: Warnings) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), status=HUGE)
    assert [warning.partition(".")[0] for warning in warnings()] == [
        "wf (flow): its custom status has 1000001 bytes"
    ]


async def test_a_large_output_of_an_activity_is_told(
    hub: Hub, worker: Worker, act: Actions, warnings: Warnings
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), act.task(1))
    await worker.answer_activity(await worker.next(), HUGE)
    assert (await worker.next()).HasField("orchestratorRequest")
    [warning] = warnings()
    assert warning.startswith("wf (step): its output has 1000001 bytes. ")


async def test_large_inputs_outputs_and_states_of_entities_are_told(
    hub: Hub, worker: Worker, warnings: Warnings
) -> None:
    await signal(hub, data=HUGE)
    outcome = pb.OperationResult(success=pb.OperationResultSuccess(result=text(HUGE)))
    await worker.answer_entity(await worker.next(), HUGE, outcome)
    assert [warning.partition(" has ")[0] for warning in warnings()] == [
        "@counter@a (counter): the input of operation 'add'",
        "@counter@a (counter): its state",
        "@counter@a (counter): the output of an operation",
    ]


async def test_what_an_entity_sends_is_told(hub: Hub, worker: Worker, warnings: Warnings) -> None:
    await signal(hub)
    item = await worker.next()
    sent = pb.SendSignalAction(instanceId="@counter@b", name="more", input=text(HUGE))
    result = pb.EntityBatchResult(
        results=[OK],
        actions=[pb.OperationAction(sendSignal=sent)],
        completionToken=item.completionToken,
    )
    await hub.call("CompleteEntityTask", result)
    [warning] = warnings()
    assert "the input of operation 'more'" in warning


async def test_long_ids_are_told(hub: Hub, worker: Worker, warnings: Warnings) -> None:
    long = "i" * (ID_CHARACTERS + 1)
    await hub.start(long)
    await worker.next()
    await signal(hub, f"@Counter@{long}")
    await worker.next()
    assert [warning.partition(". ")[0] for warning in warnings()] == [
        f"{long} (flow): its id has 101 characters",
        f"@counter@{long} (counter): its id has 110 characters",
    ]


async def test_a_history_that_no_longer_fits_a_message_is_told(
    hub: Hub, worker: Worker, warnings: Warnings
) -> None:
    await hub.start()
    piece = "x" * 900_000
    for number in range(5):
        item = await worker.next()
        event = pb.RaiseEventRequest(instanceId="wf", name=f"e{number}", input=text(piece))
        await hub.call("RaiseEvent", event)
        assert warnings() == []
        await worker.answer_turn(item)
    await worker.next()
    [warning] = warnings()
    assert warning.startswith("wf (flow): a turn with its history has ")
    assert f"at most {MESSAGE_BYTES} " in warning


async def test_an_answer_that_is_too_large_as_a_whole_is_told(
    hub: Hub, worker: Worker, act: Actions, warnings: Warnings
) -> None:
    await hub.start()
    pieces = [act.task(number, given="x" * 900_000) for number in range(1, 6)]
    await worker.answer_turn(await worker.next(), *pieces)
    assert [warning.partition(" has ")[0] for warning in warnings()] == [
        "wf (flow): the message OrchestratorResponse"
    ]


async def test_a_late_answer_is_not_measured(
    hub: Hub, worker: Worker, act: Actions, warnings: Warnings
) -> None:
    await hub.start()
    item = await worker.next()
    await worker.answer_turn(item)
    await worker.answer_turn(item, act.complete(HUGE))
    assert warnings() == []


async def test_warnings_come_to_an_end_however_many_names_there_are(
    hub: Hub, warnings: Warnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size_warnings, "MAX_WARNINGS", 3)
    for number in range(5):
        await hub.start(f"wf{number}", name=f"flow{number}", input=text(HUGE))
    assert len(warnings()) == 3
    assert warnings()[-1].endswith("This is the last warning of this kind.")


async def test_a_line_end_in_a_name_forges_no_line_of_the_log(hub: Hub, warnings: Warnings) -> None:
    await hub.start(name="flow\nERROR", input=text(HUGE))
    [warning] = warnings()
    assert "\n" not in warning
