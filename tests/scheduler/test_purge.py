"""Which instances a purge deletes, and which ids a list of the finished has."""

import asyncio
from datetime import timedelta

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from .conftest import START, Actions, Hub, Worker, stamp, text


async def purge(hub: Hub, **fields: object) -> tuple[int, bool]:
    answer = await hub.call("PurgeInstances", pb.PurgeInstancesRequest(**fields))
    return answer.deletedInstanceCount, answer.isComplete.value


def matching(**fields: object) -> dict[str, object]:
    return {"purgeInstanceFilter": pb.PurgeInstanceFilter(**fields)}


async def finish(hub: Hub, worker: Worker, instance_id: str, end: pb.OrchestratorAction) -> None:
    await hub.start(instance_id)
    await worker.answer_turn(await worker.next(), end)
    await hub.wait(instance_id)


async def left(hub: Hub) -> list[str]:
    answer = await hub.call("QueryInstances", pb.QueryInstancesRequest(query=pb.InstanceQuery()))
    return sorted(state.instanceId for state in answer.orchestrationState)


@pytest.fixture
async def some(hub: Hub, worker: Worker, act: Actions) -> None:
    """Four instances, an hour between their beginnings: c is not finished."""
    await finish(hub, worker, "a", act.complete())
    await hub.clock.advance(timedelta(hours=1))
    await finish(hub, worker, "b", act.fail(pb.TaskFailureDetails(errorType="E")))
    await hub.clock.advance(timedelta(hours=1))
    await hub.start("c")
    await worker.next()
    await hub.clock.advance(timedelta(hours=1))
    await finish(hub, worker, "d", act.complete())


async def test_a_purge_takes_the_window_in_which_instances_were_created(
    hub: Hub, some: None
) -> None:
    window = {
        "createdTimeFrom": stamp(START + timedelta(hours=1)),
        "createdTimeTo": stamp(START + timedelta(hours=3)),
    }
    assert await purge(hub, **matching(**window)) == (1, True)
    assert await left(hub) == ["a", "c", "d"]


async def test_a_purge_takes_the_states_it_names(hub: Hub, some: None) -> None:
    wanted = matching(runtimeStatus=[pb.ORCHESTRATION_STATUS_COMPLETED])
    assert await purge(hub, **wanted) == (2, True)
    assert await left(hub) == ["b", "c"]


async def test_a_purge_of_several_ids_skips_those_that_are_not_finished_or_not_there(
    hub: Hub, some: None
) -> None:
    batch = pb.InstanceBatch(instanceIds=["a", "c", "none"])
    assert await purge(hub, instanceBatch=batch) == (1, True)
    assert await left(hub) == ["b", "c", "d"]
    assert await purge(hub, instanceId="none") == (0, True)


async def test_a_purge_of_orchestrations_spares_entities(hub: Hub) -> None:
    await hub.call("SignalEntity", pb.SignalEntityRequest(instanceId="@counter@a", name="add"))
    assert await purge(hub, instanceId="@counter@a", isOrchestration=True) == (0, True)
    batch = pb.InstanceBatch(instanceIds=["@counter@a"])
    assert await purge(hub, instanceBatch=batch, isOrchestration=True) == (0, True)
    assert await purge(hub, instanceId="@counter@a", isOrchestration=False) == (1, True)


async def test_a_purge_whose_time_is_over_says_that_it_is_not_complete(hub: Hub) -> None:
    ids = [f"wf{number}" for number in range(250)]
    await asyncio.gather(*(hub.start(instance_id) for instance_id in ids))
    await asyncio.gather(
        *(hub.call("TerminateInstance", pb.TerminateRequest(instanceId=each)) for each in ids)
    )
    deleted, complete = await purge(hub, **matching(timeout=Duration()))
    assert (0 < deleted < 250, complete) == (True, False)
    assert await purge(hub, **matching(timeout=Duration(seconds=60))) == (250 - deleted, True)


async def list_ids(hub: Hub, **fields: object) -> list[str]:
    return list(
        (await hub.call("ListInstanceIds", pb.ListInstanceIdsRequest(**fields))).instanceIds
    )


async def test_ids_are_listed_of_finished_instances_by_state_and_time_of_their_end(
    hub: Hub, some: None
) -> None:
    assert await list_ids(hub) == ["a", "b", "d"]
    assert await list_ids(hub, runtimeStatus=[pb.ORCHESTRATION_STATUS_FAILED]) == ["b"]
    window = {
        "completedTimeFrom": stamp(START + timedelta(hours=1)),
        "completedTimeTo": stamp(START + timedelta(hours=3)),
    }
    assert await list_ids(hub, **window) == ["b"]


async def test_ids_come_a_hundred_to_a_page_unless_another_size_is_asked_for(hub: Hub) -> None:
    ids = [f"wf{number:03}" for number in range(101)]
    await asyncio.gather(*(hub.start(instance_id) for instance_id in ids))
    await asyncio.gather(
        *(hub.call("TerminateInstance", pb.TerminateRequest(instanceId=each)) for each in ids)
    )
    first = await hub.call("ListInstanceIds", pb.ListInstanceIdsRequest())
    assert len(first.instanceIds) == 100
    rest = await hub.call(
        "ListInstanceIds", pb.ListInstanceIdsRequest(lastInstanceKey=first.lastInstanceKey)
    )
    assert sorted([*first.instanceIds, *rest.instanceIds]) == ids
    assert not rest.HasField("lastInstanceKey")


@pytest.mark.parametrize("token", ["", "0"])
async def test_an_empty_token_is_the_beginning_and_hub_names_are_no_filter(
    hub: Hub, some: None, token: str
) -> None:
    query = pb.InstanceQuery(continuationToken=text(token), taskHubNames=[text("other")])
    answer = await hub.call("QueryInstances", pb.QueryInstancesRequest(query=query))
    assert [state.instanceId for state in answer.orchestrationState] == ["d", "c", "b", "a"]
    assert answer.continuationToken.value == ""
