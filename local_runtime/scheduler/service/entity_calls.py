"""RPCs of clients about entities."""

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.limits import entity_id
from local_runtime.scheduler.service.calls import InvalidRequest
from local_runtime.scheduler.service.hub import Hub
from local_runtime.scheduler.storage import entities, queries

_HEX = "~"  # what a token begins with that holds an id that is no text; ids begin with @
_MAX_PAGE = 1000  # entities in one answer: a page has to fit into a message


async def signal(hub: Hub, request: pb.SignalEntityRequest) -> pb.SignalEntityResponse:
    """SignalEntity: queue an operation that nobody waits for."""
    await hub.writer.submit(lambda tx: entities.signal(tx, request))
    return pb.SignalEntityResponse()


async def get(hub: Hub, request: pb.GetEntityRequest) -> pb.GetEntityResponse:
    """GetEntity: an entity's state, or exists=false for one that has none."""
    found = queries.entity(
        hub.view, entity_id(request.instanceId), include_state=request.includeState
    )
    return pb.GetEntityResponse(exists=found is not None, entity=found)


async def query(hub: Hub, request: pb.QueryEntitiesRequest) -> pb.QueryEntitiesResponse:
    """QueryEntities: one page of entities by id, and where the next one begins."""
    asked = request.query
    limit = asked.pageSize.value if asked.HasField("pageSize") else _MAX_PAGE
    if limit <= 0:
        raise InvalidRequest(f"pageSize is {limit}, and must be positive")
    limit = min(limit, _MAX_PAGE)
    wanted = queries.EntityFilter(
        _prefix(asked.instanceIdStartsWith.value),
        events.from_timestamp(asked.lastModifiedFrom)
        if asked.HasField("lastModifiedFrom")
        else None,
        events.from_timestamp(asked.lastModifiedTo) if asked.HasField("lastModifiedTo") else None,
        asked.includeTransient,
    )
    after = asked.continuationToken.value
    found = await hub.reader.read(
        lambda connection: queries.list_entities(
            connection,
            wanted,
            _bytes_of(after) if after.startswith(_HEX) else after,
            limit + 1,
            include_state=asked.includeState,
        )
    )
    token = None
    if len(found) > limit:
        last = found[limit - 1][0]
        token = last if isinstance(last, str) else _HEX + last.hex()
    return pb.QueryEntitiesResponse(
        entities=[entity for _, entity in found[:limit]], continuationToken=events.text(token)
    )


def _bytes_of(token: str) -> bytes:
    try:
        return bytes.fromhex(token.removeprefix(_HEX))
    except ValueError as error:
        raise InvalidRequest(
            "the continuation token is not one that this scheduler gave"
        ) from error


def _prefix(text: str) -> str:
    """Return `Name`, `@Name` or `@Name@key` as the beginning of stored ids."""
    if not text:
        return ""
    name, separator, key = text.removeprefix("@").partition("@")
    return f"@{name.lower()}{separator}{key}"


async def clean(hub: Hub, request: pb.CleanEntityStorageRequest) -> pb.CleanEntityStorageResponse:
    """CleanEntityStorage: nothing to do, for empty entities and orphaned locks are never kept."""
    del hub, request
    return pb.CleanEntityStorageResponse()
