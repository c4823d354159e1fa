"""RPCs of workers: the stream of work items, completions, and work that is given back."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from functools import partial

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty

from local_runtime import faults
from local_runtime.scheduler.client import MAX_BYTES_KEY, PING_SECONDS
from local_runtime.scheduler.dispatch.late_results import LateResult
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
from local_runtime.scheduler.storage.writer import Step, StorageUnavailable
from local_runtime.scheduler.transport.rpc_server import Call

logger = logging.getLogger("local_runtime.scheduler")

LOOK_SECONDS = 1.0  # between two looks whether a worker still answers
_PING = pb.WorkItem(healthPing=pb.HealthPing()).SerializeToString()


async def hello(hub: Hub, request: Empty) -> Empty:
    """Answer Hello: the scheduler is there."""
    del hub, request
    return Empty()


async def get_work_items(hub: Hub, request: pb.GetWorkItemsRequest, call: Call) -> None:
    """GetWorkItems: send work items to one worker until its stream breaks or the hub is gone."""
    metadata = dict(call.metadata)
    stream = WorkerStream(
        request,
        lambda item: call.send(item, _item_sent),
        name=_name(metadata),
        takes_bytes=_number(metadata.get(MAX_BYTES_KEY)),
        connected_at=hub.now(),
    )
    call.send(_PING)  # tells a waiting worker at once that it is connected
    hub.dispatcher.connect(stream)
    logger.info(
        "task hub %s: worker %d connected (%s)", hub.name, stream.number, shown(stream.name)
    )
    try:
        for second in itertools.count(1):
            if await stream.ends_within(LOOK_SECONDS):
                break
            hub.dispatcher.look_at(stream)
            if second % PING_SECONDS == 0:
                call.send(_PING)
        call.end()  # what is still queued for a worker that does not read must not hold it up
    finally:
        hub.dispatcher.disconnect(stream)
        logger.info("task hub %s: the stream of worker %d ended", hub.name, stream.number)


def _name(metadata: Mapping[str, str | bytes]) -> str:
    """Return what a worker says of itself: its own id, or else what program it is."""
    found = metadata.get("workerid") or metadata.get("x-user-agent") or ""
    return found if isinstance(found, str) else found.decode("latin-1")


def _number(text: str | bytes | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


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
    return await _complete(hub, lease, lambda tx: turns.commit(tx, turn, response))


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
    """CompleteActivityTask: record an activity's result.

    It counts as long as the activity has none, also after a restart of the scheduler.
    """
    lease = hub.dispatcher.take(response.completionToken, Kind.ACTIVITY)
    if lease is not None and isinstance(lease.work, ReadyTask):
        task = lease.work
        return await _complete(hub, lease, lambda tx: activities.complete(tx, task, response))
    late = hub.dispatcher.late.take(response.completionToken)
    if late is None:
        return _stale(f"activity task {response.taskId}", response.instanceId)
    if hub.writer.lacks_room(response.ByteSize()):
        # Not tried once more each time that a worker repeats it: small writes go on meanwhile.
        hub.dispatcher.late.refused(late)
        raise StorageUnavailable("the disk has no room for the result, and was not tried again")
    faults.reach("completion.late")
    return await _committed(
        hub,
        late.task.instance_id,
        lambda tx: activities.complete(tx, late.task, response),
        partial(_settle_late, hub, late),
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
    return await _complete(hub, lease, lambda tx: entities.commit(tx, batch, result))


async def _complete(hub: Hub, lease: Lease, step: Step[bool]) -> pb.CompleteTaskResponse:
    faults.reach("completion.received")
    return await _committed(hub, lease.target_id, step, partial(_settle, hub, lease))


async def _committed(
    hub: Hub, target_id: str, step: Step[bool], settle: Callable[[asyncio.Future[bool]], None]
) -> pb.CompleteTaskResponse:
    """Commit a result; `settle` learns what came of it, whether or not the caller still waits.

    What was recorded has happened, also when the worker died or hung up before it was told.
    """
    recording = hub.writer.submit(step)
    recording.add_done_callback(settle)
    if not await asyncio.shield(recording):
        logger.info(
            "%s: a result came too late (its instance has moved on); it was dropped", target_id
        )
    return pb.CompleteTaskResponse()


def _settle(hub: Hub, lease: Lease, recording: asyncio.Future[bool]) -> None:
    error = recording.exception()
    # What was not recorded has not happened. Only an answer that makes no sense is refused for
    # good: one that the disk did not take may come again.
    if error is None:
        hub.dispatcher.release(lease)
    elif isinstance(error, StorageUnavailable):
        room = partial(hub.writer.when_room, error)
        hub.dispatcher.abandon(lease, is_void=False, when=room)
    else:
        hub.dispatcher.abandon(lease)


def _settle_late(hub: Hub, late: LateResult, recording: asyncio.Future[bool]) -> None:
    error = recording.exception()
    if error is None:
        if recording.result():
            logger.info(
                "%s: the result of %s (task %d) came after its worker had been lost, and counts",
                late.task.instance_id,
                late.task.name,
                late.task.task_id,
            )
        hub.dispatcher.late.recorded(late)
    else:
        back = partial(hub.dispatcher.late.refused, late)
        is_disk = isinstance(error, StorageUnavailable)
        if not (is_disk and late.was_queued and hub.writer.when_room(error, back)):
            back()
    hub.dispatcher.pump()


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
