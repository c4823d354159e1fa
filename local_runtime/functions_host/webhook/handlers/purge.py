"""DELETE instances/{id} and DELETE instances: deletes the histories of finished instances."""

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.responses import Response

from local_runtime.functions_host.webhook.call import Call
from local_runtime.functions_host.webhook.contract.parameters import (
    CREATED_TO,
    INSTANCE_ID,
    PURGE_FROM,
)
from local_runtime.functions_host.webhook.handlers.status import statuses
from local_runtime.functions_host.webhook.replies import empty, reply
from local_runtime.functions_host.webhook.shapes import moments
from local_runtime.functions_host.webhook.shapes.payloads import RUNTIME_STATUS
from local_runtime.functions_host.webhook.task_hub.instances import TERMINAL


async def purge_one(call: Call) -> Response:
    """Delete one finished instance, or one entity."""
    instance_id = call.path(INSTANCE_ID)
    is_entity = instance_id.startswith("@")
    if not is_entity:
        status = await call.instances.status(instance_id)
        if status is None:
            return empty(404)
        if status not in TERMINAL:
            return reply(
                412,
                "Only orchestrations in a terminal state can be purged, but the orchestration "
                f"with instance ID {instance_id} has status "
                f"{RUNTIME_STATUS[status]}",
            )
    request = pb.PurgeInstancesRequest(instanceId=instance_id, isOrchestration=not is_entity)
    return _deleted((await call.instances.purge(request)).deletedInstanceCount)


async def purge_many(call: Call) -> Response:
    """Delete the finished instances that were created in a span of time."""
    since = moments.parse(call.query.get(PURGE_FROM))
    if since is None:
        return reply(400, "Please provide value for 'createdTimeFrom' parameter.")
    until = moments.parse(call.query.get(CREATED_TO)) or _now(call)
    request = pb.PurgeInstancesRequest(
        purgeInstanceFilter=pb.PurgeInstanceFilter(
            createdTimeFrom=since, createdTimeTo=until, runtimeStatus=statuses(call)
        )
    )
    deleted = 0
    while True:
        page = await call.instances.purge(request)
        deleted += page.deletedInstanceCount
        # A scheduler may do a large purge in parts, and says so; one that makes no progress ends.
        if (
            not page.HasField("isComplete")
            or page.isComplete.value
            or not page.deletedInstanceCount
        ):
            return _deleted(deleted)


def _deleted(count: int) -> Response:
    return reply(200, {"instancesDeleted": count}) if count else empty(404)


def _now(call: Call) -> Timestamp:
    now = Timestamp()
    now.FromDatetime(call.context.clock.now())
    return now
