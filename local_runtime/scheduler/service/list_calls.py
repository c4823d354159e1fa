"""RPCs of clients about many instances: query, purge, history."""

from collections.abc import Awaitable, Callable

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import BoolValue

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.status import Status, from_proto
from local_runtime.scheduler.service.calls import InvalidRequest
from local_runtime.scheduler.service.hub import Hub
from local_runtime.scheduler.storage import history, queries
from local_runtime.scheduler.storage.controls import InstanceNotFound
from local_runtime.scheduler.storage.purge import purge, purge_matching
from local_runtime.scheduler.storage.queries import InstanceFilter

_MAX_PAGE = 1000  # states in one answer: a page has to fit into a message
_PURGE_GROUP = 200  # instances deleted in one transaction: others are served in between
_CHUNK_EVENTS = 500
_NO_MORE = ("", "0")  # continuation tokens that mean "from the beginning"


async def query(hub: Hub, request: pb.QueryInstancesRequest) -> pb.QueryInstancesResponse:
    """QueryInstances: one page of instances, the newest first, and where the next one begins."""
    asked = request.query
    limit = min(asked.maxInstanceCount or _MAX_PAGE, _MAX_PAGE)
    if limit < 0:
        raise InvalidRequest(
            f"maxInstanceCount is {asked.maxInstanceCount}, and must not be negative"
        )
    wanted = InstanceFilter(
        _statuses(list(asked.runtimeStatus)),
        events.from_timestamp(asked.createdTimeFrom) if asked.HasField("createdTimeFrom") else None,
        events.from_timestamp(asked.createdTimeTo) if asked.HasField("createdTimeTo") else None,
        asked.instanceIdPrefix.value or None,
    )
    if asked.runtimeStatus and not wanted.statuses:
        return pb.QueryInstancesResponse()  # only states in which no instance ever rests
    after = _cursor(asked.continuationToken.value)
    states = await hub.reader.read(
        lambda connection: queries.list_instances(
            connection, wanted, after, limit + 1, payloads=asked.fetchInputsAndOutputs
        )
    )
    token = None
    if len(states) > limit:
        states = states[:limit]
        last = states[-1]
        token = f"{events.from_timestamp(last.createdTimestamp)}:{last.instanceId}"
    return pb.QueryInstancesResponse(
        orchestrationState=states, continuationToken=events.text(token)
    )


def _statuses(numbers: list[pb.OrchestrationStatus]) -> list[Status]:
    return [status for number in numbers if (status := from_proto(number)) is not None]


def _cursor(token: str) -> tuple[int, str] | None:
    if token in _NO_MORE:
        return None
    created, separator, instance_id = token.partition(":")
    if not separator or not created.isascii() or not created.isdigit() or len(created) > 18:
        raise InvalidRequest("the continuation token is not one that this scheduler gave")
    return int(created), instance_id


async def purge_instances(hub: Hub, request: pb.PurgeInstancesRequest) -> pb.PurgeInstancesResponse:
    """PurgeInstances: delete finished instances by id, by a list of ids, or by a filter."""
    match request.WhichOneof("request"):
        case "instanceId":
            deleted = await _purge_ids(hub, [request.instanceId], recursive=request.recursive)
        case "instanceBatch":
            ids = list(request.instanceBatch.instanceIds)
            deleted = await _purge_ids(hub, ids, recursive=request.recursive)
        case "purgeInstanceFilter":
            deleted = await _purge_filtered(hub, request.purgeInstanceFilter)
        case _:
            raise InvalidRequest("the request names neither an instance, nor several, nor a filter")
    return pb.PurgeInstancesResponse(deletedInstanceCount=deleted, isComplete=BoolValue(value=True))


async def _purge_ids(hub: Hub, ids: list[str], *, recursive: bool) -> int:
    deleted = 0
    for instance_id in ids:
        deleted += await hub.writer.submit(
            lambda tx, instance_id=instance_id: purge(tx, instance_id, recursive=recursive)
        )
    return deleted


async def _purge_filtered(hub: Hub, wanted: pb.PurgeInstanceFilter) -> int:
    created_from = (
        events.from_timestamp(wanted.createdTimeFrom)
        if wanted.HasField("createdTimeFrom")
        else None
    )
    created_to = (
        events.from_timestamp(wanted.createdTimeTo) if wanted.HasField("createdTimeTo") else None
    )
    statuses = _statuses(list(wanted.runtimeStatus))
    if wanted.runtimeStatus and not statuses:
        return 0
    total = 0
    while True:
        deleted = await hub.writer.submit(
            lambda tx: purge_matching(tx, created_from, created_to, statuses, _PURGE_GROUP)
        )
        total += deleted
        if deleted < _PURGE_GROUP:
            return total


async def stream_history(
    hub: Hub,
    request: pb.StreamInstanceHistoryRequest,
    write: Callable[[pb.HistoryChunk], Awaitable[None]],
) -> None:
    """StreamInstanceHistory: write the committed history, in chunks.

    Raises:
        InstanceNotFound: there is no such instance.
    """
    instance_id = request.instanceId
    exists = await hub.reader.read(
        lambda connection: queries.instance(connection, instance_id, payloads=False) is not None
    )
    if not exists:
        raise InstanceNotFound(f"there is no orchestration instance with the id '{instance_id}'")
    for turn in await hub.reader.read(lambda c: history.read_turns(c, instance_id)):
        for first in range(0, len(turn), _CHUNK_EVENTS):
            await write(pb.HistoryChunk(events=turn[first : first + _CHUNK_EVENTS]))
