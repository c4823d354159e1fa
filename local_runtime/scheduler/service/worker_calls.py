"""RPCs of workers: the stream of work items, completions, and work that is given back."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty

from local_runtime import faults
from local_runtime.scheduler.dispatch.leases import Lease
from local_runtime.scheduler.dispatch.streams import Kind, WorkerStream
from local_runtime.scheduler.engine.decision import InvalidResponse
from local_runtime.scheduler.engine.limits import shown
from local_runtime.scheduler.service.hub import Hub
from local_runtime.scheduler.service.parts import add_part
from local_runtime.scheduler.storage import activities, entities, turns
from local_runtime.scheduler.storage.effects import ReadyTask
from local_runtime.scheduler.storage.entities import Batch
from local_runtime.scheduler.storage.turns import Turn
from local_runtime.scheduler.storage.writer import StorageUnavailable
from local_runtime.scheduler.transport.rpc_server import Call

logger = logging.getLogger("local_runtime.scheduler")

# Clients take a silent stream for a dead one after 15 s at the earliest.
PING_SECONDS = 5.0
_PING = pb.WorkItem(healthPing=pb.HealthPing()).SerializeToString()


async def hello(hub: Hub, request: Empty) -> Empty:
    """Answer Hello: the scheduler is there."""
    del hub, request
    return Empty()


async def get_work_items(hub: Hub, request: pb.GetWorkItemsRequest, call: Call) -> None:
    """GetWorkItems: send work items to one worker until its stream breaks or the hub is gone."""
    stream = WorkerStream(request, lambda item: call.send(item, _item_sent))
    call.send(_PING)  # tells a waiting worker at once that it is connected
    hub.dispatcher.connect(stream)
    logger.info("task hub %s: a worker connected", hub.name)
    try:
        while not await stream.ends_within(PING_SECONDS):
            call.send(_PING)
        call.end()  # what is still queued for a worker that does not read must not hold it up
    finally:
        hub.dispatcher.disconnect(stream)
        logger.info("task hub %s: a worker's stream ended", hub.name)


def _item_sent() -> None:
    faults.reach("work_item.sent")


async def complete_turn(hub: Hub, response: pb.OrchestratorResponse) -> pb.CompleteTaskResponse:
    """CompleteOrchestratorTask: apply the answer to a turn, once all of it is there."""
    if response.requiresHistory:
        return _send_whole(hub, response.completionToken)
    if response.isPartial or response.HasField("chunkIndex"):
        whole = _collect(hub, response)
        if whole is None:
            return pb.CompleteTaskResponse()
        response = whole
    lease = hub.dispatcher.take(response.completionToken, Kind.ORCHESTRATION)
    if lease is None or not isinstance(lease.work, Turn):
        return _stale("the turn", response.instanceId)
    turn = lease.work
    return await _complete(
        hub, lease, lambda: hub.writer.submit(lambda tx: turns.commit(tx, turn, response))
    )


def _send_whole(hub: Hub, token: str) -> pb.CompleteTaskResponse:
    """Hand a turn out again to a worker that does not know its history, from now on with it."""
    lease = hub.dispatcher.leased(token, Kind.ORCHESTRATION)
    if lease is not None:
        lease.stream.streams_history = False
        _give_back(hub, token, Kind.ORCHESTRATION)
    return pb.CompleteTaskResponse()


def _collect(hub: Hub, part: pb.OrchestratorResponse) -> pb.OrchestratorResponse | None:
    """Keep a part of an answer with its lease; return the whole when it is complete.

    Raises:
        InvalidResponse: the part does not fit, and the turn is handed out again.
    """
    lease = hub.dispatcher.leased(part.completionToken, Kind.ORCHESTRATION)
    if lease is None:
        return part  # which finds its lease ended, and is dropped as any late answer
    try:
        return add_part(lease.parts, part)
    except InvalidResponse:
        _give_back(hub, part.completionToken, Kind.ORCHESTRATION)
        raise


async def complete_activity(hub: Hub, response: pb.ActivityResponse) -> pb.CompleteTaskResponse:
    """CompleteActivityTask: record an activity's result."""
    lease = hub.dispatcher.take(response.completionToken, Kind.ACTIVITY)
    if lease is None or not isinstance(lease.work, ReadyTask):
        return _stale(f"activity task {response.taskId}", response.instanceId)
    task = lease.work
    return await _complete(
        hub, lease, lambda: hub.writer.submit(lambda tx: activities.complete(tx, task, response))
    )


async def complete_batch(hub: Hub, result: pb.EntityBatchResult) -> pb.CompleteTaskResponse:
    """CompleteEntityTask: apply the answer to a batch of operations.

    An answer that processes none of them, or asks for the state, gives the batch back.
    """
    if result.requiresState or not (result.results or result.HasField("failureDetails")):
        _give_back(hub, result.completionToken, Kind.ENTITY)
        return pb.CompleteTaskResponse()
    lease = hub.dispatcher.take(result.completionToken, Kind.ENTITY)
    if lease is None or not isinstance(lease.work, Batch):
        return _stale("a batch of entity operations", "?")
    batch = lease.work
    return await _complete(
        hub, lease, lambda: hub.writer.submit(lambda tx: entities.commit(tx, batch, result))
    )


async def _complete(
    hub: Hub, lease: Lease, commit: Callable[[], Awaitable[bool]]
) -> pb.CompleteTaskResponse:
    faults.reach("completion.received")
    try:
        applied = await commit()
    except StorageUnavailable as error:
        hub.dispatcher.abandon(lease, partial(hub.writer.when_room, error))
        raise
    except BaseException:
        # What was not recorded has not happened: the work is handed out again.
        hub.dispatcher.abandon(lease)
        raise
    hub.dispatcher.release(lease)
    if not applied:
        logger.info(
            "%s: a result came too late (its instance has moved on); it was dropped",
            lease.target_id,
        )
    return pb.CompleteTaskResponse()


def _stale(what: str, instance_id: str) -> pb.CompleteTaskResponse:
    logger.warning(
        "%s: the result of %s came after its lease had ended (its worker was thought lost, or "
        "the instance has ended); it was dropped, and what is still wanted runs again",
        shown(instance_id),
        what,
    )
    return pb.CompleteTaskResponse()


def _give_back(hub: Hub, token: str, kind: Kind) -> None:
    lease = hub.dispatcher.take(token, kind)
    if lease is not None:
        logger.info("%s: a worker gave its %s work back", lease.target_id, kind.value)
        hub.dispatcher.abandon(lease)


async def abandon_turn(
    hub: Hub, request: pb.AbandonOrchestrationTaskRequest
) -> pb.AbandonOrchestrationTaskResponse:
    """AbandonTaskOrchestratorWorkItem: a worker cannot do this turn."""
    _give_back(hub, request.completionToken, Kind.ORCHESTRATION)
    return pb.AbandonOrchestrationTaskResponse()


async def abandon_activity(
    hub: Hub, request: pb.AbandonActivityTaskRequest
) -> pb.AbandonActivityTaskResponse:
    """AbandonTaskActivityWorkItem: a worker cannot do this activity."""
    _give_back(hub, request.completionToken, Kind.ACTIVITY)
    return pb.AbandonActivityTaskResponse()


async def abandon_batch(
    hub: Hub, request: pb.AbandonEntityTaskRequest
) -> pb.AbandonEntityTaskResponse:
    """AbandonTaskEntityWorkItem: a worker cannot do these operations."""
    _give_back(hub, request.completionToken, Kind.ENTITY)
    return pb.AbandonEntityTaskResponse()
