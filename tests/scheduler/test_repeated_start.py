"""A start that is sent again with the same execution id is the same start, and happens once."""

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from .conftest import Actions, Hub, Scheduler, Worker

EVERY_STATE = pb.OrchestrationIdReusePolicy(
    replaceableStatus=[pb.ORCHESTRATION_STATUS_RUNNING, pb.ORCHESTRATION_STATUS_COMPLETED]
)


async def start(hub: Hub, execution_id: str = "first", **fields: object) -> str:
    return await hub.start(executionId=StringValue(value=execution_id), **fields)


async def test_a_start_that_comes_again_changes_nothing(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    assert await start(hub) == await start(hub, orchestrationIdReusePolicy=EVERY_STATE) == "wf"
    await worker.answer_turn(await worker.next(), act.task(1))
    assert await start(hub, orchestrationIdReusePolicy=EVERY_STATE) == "wf"
    await worker.answer_activity(await worker.next(), '"done"')
    await worker.answer_turn(await worker.next(), act.complete())
    await hub.wait()

    assert await start(hub, orchestrationIdReusePolicy=EVERY_STATE) == "wf"
    assert await hub.status() == "COMPLETED"


async def test_it_is_known_after_the_instance_has_continued_as_new(
    hub: Hub, worker: Worker, act: Actions
) -> None:
    await start(hub)
    for generation in ("1", "2"):
        await worker.answer_turn(await worker.next(), act.anew(generation))
    await worker.answer_turn(await worker.next(), act.complete())
    ended = await hub.wait()

    assert await start(hub, orchestrationIdReusePolicy=EVERY_STATE) == "wf"
    assert (await hub.get()).orchestrationState == ended
    assert ended.executionId.value != "first"


async def test_it_is_known_after_a_restart_of_the_scheduler(scheduler: Scheduler, hub: Hub) -> None:
    await start(hub)
    await scheduler.stop()
    await scheduler.start()

    assert await start(await scheduler.hub()) == "wf"


@pytest.mark.parametrize("other", [{"execution_id": "second"}, {"execution_id": "firs"}])
async def test_another_start_is_refused_as_ever(hub: Hub, other: dict[str, str]) -> None:
    await start(hub)

    with pytest.raises(grpc.RpcError) as refused:
        await start(hub, **other)
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
