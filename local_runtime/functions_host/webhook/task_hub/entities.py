"""The scheduler's entities as the webhook uses them."""

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.functions_host.webhook.task_hub.calls import HubCalls


class Entities(HubCalls):
    """The entities of one task hub."""

    async def get(self, entity_id: str) -> pb.EntityMetadata | None:
        """Return an entity with its state, or None if it has none."""
        request = pb.GetEntityRequest(instanceId=entity_id, includeState=True)
        response: pb.GetEntityResponse = await self._call(self._stub.GetEntity, request)
        return response.entity if response.exists else None

    async def query(self, query: pb.EntityQuery) -> pb.QueryEntitiesResponse:
        """Return one page of the entities that match."""
        return await self._call(self._stub.QueryEntities, pb.QueryEntitiesRequest(query=query))

    async def signal(self, request: pb.SignalEntityRequest) -> None:
        """Send an operation that nobody waits for."""
        await self._call(self._stub.SignalEntity, request)
