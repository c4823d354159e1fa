"""RPCs of clients about many instances: query, purge, history."""

import asyncio
import re
from collections.abc import Iterator

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import BoolValue

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.status import Status, from_proto
from local_runtime.scheduler.service.calls import InvalidRequest
from local_runtime.scheduler.service.hub import Hub
from local_runtime.scheduler.service.hubs import DEFAULT_HUB, Hubs
from local_runtime.scheduler.storage import history, queries
from local_runtime.scheduler.storage.controls import InstanceNotFound
from local_runtime.scheduler.storage.messages import is_entity
from local_runtime.scheduler.storage.purge import purge, purge_matching
from local_runtime.scheduler.storage.queries import InstanceFilter, Key
from local_runtime.scheduler.transport.rpc_server import Call

_DEFAULT_IDS = 100
_MAX_IDS = 10_000
_MAX_PAGE = 1000  # states in one answer: a page has to fit into a message
_PURGE_GROUP = 200  # instances deleted in one transaction: others are served in between
_CHUNK_EVENTS = 500
_CHUNK_BYTES = 2 * 1024 * 1024  # clients take 4 MiB at least
_TOKEN = re.compile(r"([0-9]{1,19})(?::(.*)|~((?:[0-9a-f]{2})*))", re.DOTALL)
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
        _moment(asked, "createdTimeFrom"),
        _moment(asked, "createdTimeTo"),
        asked.instanceIdPrefix.value or None,
    )
    if asked.runtimeStatus and not wanted.statuses:
        return pb.QueryInstancesResponse()  # only states in which no instance ever rests
    after = _cursor(asked.continuationToken.value)
    known = hub.damaged.known()
    found = await hub.reader.read(
        lambda connection: queries.list_instances(
            connection,
            wanted,
            after,
            limit + 1,
            payloads=asked.fetchInputsAndOutputs,
            damaged=known,
        )
    )
    token = _token(found[limit - 1][0]) if len(found) > limit else None
    return pb.QueryInstancesResponse(
        orchestrationState=[hub.damaged.shown(state) for _, state in found[:limit]],
        continuationToken=events.text(token),
    )


def _statuses(numbers: list[pb.OrchestrationStatus]) -> list[Status]:
    """Return the states of these numbers, each once: however many there are, they are six."""
    return [status for number in set(numbers) if (status := from_proto(number)) is not None]


def _token(key: Key) -> str:
    """Return where the next page begins; an id that is no text is written in hexadecimal digits."""
    at, instance_id = key
    return f"{at}:{instance_id}" if isinstance(instance_id, str) else f"{at}~{instance_id.hex()}"


def _cursor(token: str) -> Key | None:
    if token in _NO_MORE:
        return None
    found = _TOKEN.fullmatch(token)
    if found is None or int(found[1]) >= 2**63:
        raise InvalidRequest("the continuation token is not one that this scheduler gave")
    at, instance_id, digits = found.groups()
    return int(at), bytes.fromhex(digits) if instance_id is None else instance_id


async def list_ids(hub: Hub, request: pb.ListInstanceIdsRequest) -> pb.ListInstanceIdsResponse:
    """ListInstanceIds: ids of finished instances in the order they ended, one page."""
    limit = min(request.pageSize or _DEFAULT_IDS, _MAX_IDS)
    if limit < 0:
        raise InvalidRequest(f"pageSize is {request.pageSize}, and must not be negative")
    statuses = _statuses(list(request.runtimeStatus))
    if request.runtimeStatus and not statuses:
        return pb.ListInstanceIdsResponse()
    window = (
        _moment(request, "completedTimeFrom"),
        _moment(request, "completedTimeTo"),
    )
    after = _cursor(request.lastInstanceKey.value)
    found = await hub.reader.read(
        lambda connection: queries.finished_ids(connection, statuses, window, after, limit + 1)
    )
    token = _token(found[limit - 1]) if len(found) > limit else None
    return pb.ListInstanceIdsResponse(
        instanceIds=[
            found_id if isinstance(found_id, str) else found_id.decode(errors="replace")
            for _, found_id in found[:limit]
        ],
        lastInstanceKey=events.text(token),
    )


def _moment(
    request: pb.ListInstanceIdsRequest | pb.InstanceQuery | pb.PurgeInstanceFilter, name: str
) -> int | None:
    return events.from_timestamp(getattr(request, name)) if request.HasField(name) else None


async def purge_instances(hub: Hub, request: pb.PurgeInstancesRequest) -> pb.PurgeInstancesResponse:
    """PurgeInstances: delete finished instances by id, by a list of ids, or by a filter."""
    try:
        return await _purge(hub, request)
    finally:
        hub.tidy()


async def _purge(hub: Hub, request: pb.PurgeInstancesRequest) -> pb.PurgeInstancesResponse:
    match request.WhichOneof("request"):
        case "instanceId":
            ids = [request.instanceId]
            deleted = await _purge_ids(hub, _meant(request, ids), recursive=request.recursive)
        case "instanceBatch":
            ids = list(request.instanceBatch.instanceIds)
            deleted = await _purge_ids(hub, _meant(request, ids), recursive=request.recursive)
        case "purgeInstanceFilter":
            return await _purge_filtered(hub, request.purgeInstanceFilter)
        case _:
            raise InvalidRequest("the request names neither an instance, nor several, nor a filter")
    return pb.PurgeInstancesResponse(deletedInstanceCount=deleted, isComplete=BoolValue(value=True))


def _meant(request: pb.PurgeInstancesRequest, ids: list[str]) -> list[str]:
    """Leave entities out where a request says that it is about orchestrations."""
    if not request.isOrchestration:
        return ids
    return [instance_id for instance_id in ids if not is_entity(instance_id)]


async def _purge_ids(hub: Hub, ids: list[str], *, recursive: bool) -> int:
    deleted = 0
    for instance_id in ids:
        deleted += await hub.writer.submit(
            lambda tx, instance_id=instance_id: purge(tx, instance_id, recursive=recursive)
        )
    return deleted


async def _purge_filtered(hub: Hub, wanted: pb.PurgeInstanceFilter) -> pb.PurgeInstancesResponse:
    """Purge in groups until nothing is left, or the filter's timeout has passed."""
    created_from = _moment(wanted, "createdTimeFrom")
    created_to = _moment(wanted, "createdTimeTo")
    statuses = _statuses(list(wanted.runtimeStatus))
    if wanted.runtimeStatus and not statuses:
        return _purged(0, complete=True)
    loop = asyncio.get_running_loop()
    limit = (
        wanted.timeout.seconds + wanted.timeout.nanos / 1e9 if wanted.HasField("timeout") else None
    )
    began = loop.time()
    total = 0
    while True:
        deleted = await hub.writer.submit(
            lambda tx: purge_matching(tx, created_from, created_to, statuses, _PURGE_GROUP)
        )
        total += deleted
        if deleted < _PURGE_GROUP:
            return _purged(total, complete=True)
        if limit is not None and loop.time() - began >= limit:
            return _purged(total, complete=False)


def _purged(count: int, *, complete: bool) -> pb.PurgeInstancesResponse:
    return pb.PurgeInstancesResponse(
        deletedInstanceCount=count, isComplete=BoolValue(value=complete)
    )


def hub_of_history(hubs: Hubs, request: pb.StreamInstanceHistoryRequest) -> str:
    """Return the hub to read a history from when the call names none.

    The SDK's asynchronous client never does: grpc.aio uses an interceptor that adds metadata to
    unary calls for those only. The one hub that has the instance must be meant.
    """
    having = [
        hub.name
        for hub in hubs.opened()
        if queries.instance(hub.view, request.instanceId, payloads=False) is not None
    ]
    return having[0] if len(having) == 1 else DEFAULT_HUB


async def stream_history(hub: Hub, request: pb.StreamInstanceHistoryRequest, call: Call) -> None:
    """StreamInstanceHistory: write the committed history, in chunks.

    It is also what belongs to a turn that a worker holds: nothing is added to it meanwhile.

    Raises:
        InstanceNotFound: there is no such instance, or it has gone on as another execution.
    """
    instance_id = request.instanceId
    state = queries.instance(hub.view, instance_id, payloads=False)
    if state is None:
        raise InstanceNotFound(f"there is no orchestration instance with the id '{instance_id}'")
    if request.executionId.value not in ("", state.executionId.value):
        raise InstanceNotFound(
            f"the orchestration instance '{instance_id}' has a history of its execution "
            f"{state.executionId.value} only"
        )
    for turn in await hub.reader.read(lambda c: history.read_turns(c, instance_id)):
        for chunk in _chunks(turn):
            call.send(pb.HistoryChunk(events=chunk).SerializeToString())
            await call.drained()


def _chunks(turn: list[pb.HistoryEvent]) -> Iterator[list[pb.HistoryEvent]]:
    """Divide a turn's events so that each message stays small; one huge event goes alone."""
    chunk: list[pb.HistoryEvent] = []
    size = 0
    for event in turn:
        added = event.ByteSize()
        if chunk and (len(chunk) == _CHUNK_EVENTS or size + added > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(event)
        size += added
    yield chunk
