"""RPCs of clients about orchestration instances."""

from collections.abc import Callable

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import Start
from local_runtime.scheduler.engine.status import from_proto
from local_runtime.scheduler.service.calls import InvalidRequest
from local_runtime.scheduler.service.hub import Hub, new_id
from local_runtime.scheduler.storage import controls, instances, queries
from local_runtime.scheduler.storage import restart as restarting
from local_runtime.scheduler.storage import rewind as rewinding
from local_runtime.scheduler.storage.controls import InstanceNotFound
from local_runtime.scheduler.storage.writer import StorageUnavailable


async def start(hub: Hub, request: pb.CreateInstanceRequest) -> pb.CreateInstanceResponse:
    """StartInstance: store a new instance; without a reuse policy any existing id is refused."""
    if not request.name:
        raise InvalidRequest("the request names no orchestrator")
    instance_id = request.instanceId or new_id()
    replaceable = {
        status
        for number in request.orchestrationIdReusePolicy.replaceableStatus
        if (status := from_proto(number)) is not None
    }
    started = pb.ExecutionStartedEvent(
        name=request.name,
        version=request.version if request.HasField("version") else None,
        input=request.input if request.HasField("input") else None,
        parentTraceContext=(
            request.parentTraceContext if request.HasField("parentTraceContext") else None
        ),
        tags=dict(request.tags),
    )
    due_at = (
        events.from_timestamp(request.scheduledStartTimestamp)
        if request.HasField("scheduledStartTimestamp")
        else None
    )
    execution_id = request.executionId.value if request.HasField("executionId") else None
    new = Start(instance_id, started, due_at=due_at)
    await hub.writer.submit(lambda tx: instances.start(tx, new, replaceable, execution_id))
    return pb.CreateInstanceResponse(instanceId=instance_id)


async def get(hub: Hub, request: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
    """GetInstance: the state of one instance, or exists=false."""
    return _response(hub, request)


async def wait_for_start(hub: Hub, request: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
    """WaitForInstanceStart: answer once the instance is no longer pending, or is not there."""
    return await _wait(hub, request, lambda state: state != pb.ORCHESTRATION_STATUS_PENDING)


async def wait_for_completion(hub: Hub, request: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
    """WaitForInstanceCompletion: answer once the instance is finished, or is not there."""

    def is_finished(state: pb.OrchestrationStatus) -> bool:
        status = from_proto(state)
        return status is not None and status.is_terminal

    return await _wait(hub, request, is_finished)


async def raise_event(hub: Hub, request: pb.RaiseEventRequest) -> pb.RaiseEventResponse:
    """RaiseEvent: tell an instance something."""
    data = request.input.value if request.HasField("input") else None
    await hub.writer.submit(
        lambda tx: controls.raise_event(tx, request.instanceId, request.name, data)
    )
    return pb.RaiseEventResponse()


async def suspend(hub: Hub, request: pb.SuspendRequest) -> pb.SuspendResponse:
    """SuspendInstance: pause an instance."""
    reason = request.reason.value if request.HasField("reason") else None
    await hub.writer.submit(lambda tx: controls.suspend(tx, request.instanceId, reason))
    return pb.SuspendResponse()


async def resume(hub: Hub, request: pb.ResumeRequest) -> pb.ResumeResponse:
    """ResumeInstance: let a paused instance go on."""
    reason = request.reason.value if request.HasField("reason") else None
    await hub.writer.submit(lambda tx: controls.resume(tx, request.instanceId, reason))
    return pb.ResumeResponse()


async def terminate(hub: Hub, request: pb.TerminateRequest) -> pb.TerminateResponse:
    """TerminateInstance: end an instance, whatever it is doing."""
    output = request.output.value if request.HasField("output") else None
    found = await hub.writer.submit(
        lambda tx: controls.terminate(tx, request.instanceId, output, recurse=request.recursive)
    )
    if not found:
        raise InstanceNotFound(
            f"there is no orchestration instance with the id '{request.instanceId}'"
        )
    return pb.TerminateResponse()


async def rewind(hub: Hub, request: pb.RewindInstanceRequest) -> pb.RewindInstanceResponse:
    """RewindInstance: let a failed instance go on from before its failure."""
    reason = request.reason.value if request.HasField("reason") else None
    await hub.writer.submit(lambda tx: rewinding.begin(tx, request.instanceId, reason))
    return pb.RewindInstanceResponse()


async def restart(hub: Hub, request: pb.RestartInstanceRequest) -> pb.RestartInstanceResponse:
    """RestartInstance: start a finished instance again, under its id or a new one."""
    new = new_id() if request.restartWithNewInstanceId else None
    started = await hub.writer.submit(lambda tx: restarting.restart(tx, request.instanceId, new))
    return pb.RestartInstanceResponse(instanceId=started)


async def skip_graceful_terminations(
    hub: Hub, request: pb.SkipGracefulOrchestrationTerminationsRequest
) -> pb.SkipGracefulOrchestrationTerminationsResponse:
    """SkipGracefulOrchestrationTerminations: end instances; answer with those that are not there.

    Here every termination takes effect at once, so there is nothing graceful to skip.
    """
    reason = request.reason.value if request.HasField("reason") else None
    missing: list[str] = []
    for instance_id in request.instanceBatch.instanceIds:
        found = await hub.writer.submit(
            lambda tx, instance_id=instance_id: controls.terminate(
                tx, instance_id, reason, recurse=False
            )
        )
        if not found:
            missing.append(instance_id)
    return pb.SkipGracefulOrchestrationTerminationsResponse(unterminatedInstanceIds=missing)


def _response(hub: Hub, request: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
    state = queries.instance(hub.view, request.instanceId, payloads=request.getInputsAndOutputs)
    if state is None:
        return pb.GetInstanceResponse(exists=False)
    return pb.GetInstanceResponse(exists=True, orchestrationState=hub.damaged.shown(state))


async def _wait(
    hub: Hub, request: pb.GetInstanceRequest, is_over: Callable[[pb.OrchestrationStatus], bool]
) -> pb.GetInstanceResponse:
    async with hub.waiters.watch(request.instanceId) as changed:
        while True:
            if hub.lost:
                raise StorageUnavailable(hub.lost)
            if hub.closed:
                return pb.GetInstanceResponse(exists=False)  # deleted, with all its instances
            changed.clear()
            response = _response(hub, request)
            if not response.exists or is_over(response.orchestrationState.orchestrationStatus):
                return response
            await changed.wait()
