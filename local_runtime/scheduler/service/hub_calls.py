"""RPCs that make and delete whole task hubs."""

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.service.hubs import Hubs


async def create(
    hubs: Hubs, name: str, request: pb.CreateTaskHubRequest
) -> pb.CreateTaskHubResponse:
    """CreateTaskHub: make a hub, or keep the one that is there unless it shall begin anew."""
    if request.recreateIfExists:
        await hubs.delete(name)
    await hubs.use(name)
    return pb.CreateTaskHubResponse()


async def delete(
    hubs: Hubs, name: str, request: pb.DeleteTaskHubRequest
) -> pb.DeleteTaskHubResponse:
    """DeleteTaskHub: delete a hub with everything in it; used again, it begins empty."""
    del request
    await hubs.delete(name)
    return pb.DeleteTaskHubResponse()
