"""RPCs of clients about entities."""

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine.entity_messages import entity_id
from local_runtime.scheduler.service.hub import Hub
from local_runtime.scheduler.storage import entities, queries


async def signal(hub: Hub, request: pb.SignalEntityRequest) -> pb.SignalEntityResponse:
    """SignalEntity: queue an operation that nobody waits for."""
    await hub.writer.submit(lambda tx: entities.signal(tx, request))
    return pb.SignalEntityResponse()


async def get(hub: Hub, request: pb.GetEntityRequest) -> pb.GetEntityResponse:
    """GetEntity: an entity's state, or exists=false for one that has none."""
    wanted = entity_id(request.instanceId)
    found = await hub.reader.read(
        lambda connection: queries.entity(connection, wanted, include_state=request.includeState)
    )
    return pb.GetEntityResponse(exists=found is not None, entity=found)
