"""Answers the durable clients of the app: the gRPC calls of the SDK, on a free port of this host.

Calls that wait for an instance wait in the test's time: their timeout runs out when the test's
clock has gone so far, and not before.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any, cast

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue

from durable_agents.testing import events
from durable_agents.testing.entities import Entity, entity_id
from durable_agents.testing.instances import TERMINAL, Instance
from durable_agents.testing.task_hub import InstanceExists, InstanceNotFound, Poll, TaskHub

type _Context = grpc.aio.ServicerContext[object, object]

APP_HUB, TEST_HUB = "TestHub", "TestItself"
"""The names by which clients of the app and of the test itself are told apart."""

_MESSAGE_BYTES = 64 * 1024 * 1024


class ClientService(stubs.TaskHubSidecarServiceServicer):
    """What the SDK's durable clients call.

    Args:
        hub: The state.
    """

    def __init__(self, hub: TaskHub) -> None:
        self._hub = hub
        self._server: grpc.aio.Server | None = None

    async def open(self) -> int:
        """Listen; return the port."""
        options = [
            ("grpc.max_receive_message_length", _MESSAGE_BYTES),
            ("grpc.max_send_message_length", _MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ]
        server = grpc.aio.server(options=options)
        cast("Any", stubs).add_TaskHubSidecarServiceServicer_to_server(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._server = server
        return port

    async def close(self) -> None:
        """Listen no more; calls under way are broken off."""
        if self._server is not None:
            await self._server.stop(None)

    async def Hello(self, request: Empty, context: _Context) -> Empty:
        """Answer that someone is there."""
        return Empty()

    async def StartInstance(
        self, request: pb.CreateInstanceRequest, context: _Context
    ) -> pb.CreateInstanceResponse:
        """Accept a new instance."""
        started = pb.ExecutionStartedEvent(
            name=request.name,
            version=request.version if request.HasField("version") else None,
            input=request.input if request.HasField("input") else None,
            tags=dict(request.tags),
        )
        due = _moment(request, "scheduledStartTimestamp")
        try:
            accepted = self._hub.start(
                started,
                request.instanceId,
                due=due,
                replaceable=set(request.orchestrationIdReusePolicy.replaceableStatus),
                execution_id=request.executionId.value,
            )
        except InstanceExists as error:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, str(error))
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return pb.CreateInstanceResponse(instanceId=accepted)

    async def GetInstance(
        self, request: pb.GetInstanceRequest, context: _Context
    ) -> pb.GetInstanceResponse:
        """Return the state of an instance."""
        return self._state_of(request)

    async def WaitForInstanceStart(
        self, request: pb.GetInstanceRequest, context: _Context
    ) -> pb.GetInstanceResponse:
        """Return the state of an instance when it has begun."""
        pending = pb.ORCHESTRATION_STATUS_PENDING
        return await self._wait(request, context, lambda status: status != pending)

    async def WaitForInstanceCompletion(
        self, request: pb.GetInstanceRequest, context: _Context
    ) -> pb.GetInstanceResponse:
        """Return the state of an instance when it has ended."""
        return await self._wait(request, context, TERMINAL.__contains__)

    async def RaiseEvent(
        self, request: pb.RaiseEventRequest, context: _Context
    ) -> pb.RaiseEventResponse:
        """Tell an instance something."""
        data = request.input.value if request.HasField("input") else None
        await self._found(
            context, lambda: self._hub.raise_event(request.instanceId, request.name, data)
        )
        return pb.RaiseEventResponse()

    async def SuspendInstance(
        self, request: pb.SuspendRequest, context: _Context
    ) -> pb.SuspendResponse:
        """Pause an instance."""
        reason = request.reason.value if request.HasField("reason") else None
        await self._found(context, lambda: self._hub.suspend(request.instanceId, reason))
        return pb.SuspendResponse()

    async def ResumeInstance(
        self, request: pb.ResumeRequest, context: _Context
    ) -> pb.ResumeResponse:
        """Let a paused instance go on."""
        reason = request.reason.value if request.HasField("reason") else None
        await self._found(context, lambda: self._hub.resume(request.instanceId, reason))
        return pb.ResumeResponse()

    async def TerminateInstance(
        self, request: pb.TerminateRequest, context: _Context
    ) -> pb.TerminateResponse:
        """End an instance."""
        output = request.output.value if request.HasField("output") else None
        await self._found(context, lambda: self._hub.require(request.instanceId))
        self._hub.terminate(request.instanceId, output, recurse=request.recursive)
        return pb.TerminateResponse()

    async def PurgeInstances(
        self, request: pb.PurgeInstancesRequest, context: _Context
    ) -> pb.PurgeInstancesResponse:
        """Delete what has ended."""
        match request.WhichOneof("request"):
            case "instanceId":
                wanted = [request.instanceId]
            case "instanceBatch":
                wanted = list(request.instanceBatch.instanceIds)
            case _:
                wanted = self._purged_by(request.purgeInstanceFilter)
        if request.isOrchestration:
            wanted = [one for one in wanted if not one.startswith("@")]
        deleted = sum(self._hub.purge(one, recursive=request.recursive) for one in wanted)
        return pb.PurgeInstancesResponse(
            deletedInstanceCount=deleted, isComplete=BoolValue(value=True)
        )

    async def QueryInstances(
        self, request: pb.QueryInstancesRequest, context: _Context
    ) -> pb.QueryInstancesResponse:
        """Return a page of instances, the newest first."""
        asked = request.query
        statuses = set(asked.runtimeStatus)
        begin, end = _moment(asked, "createdTimeFrom"), _moment(asked, "createdTimeTo")
        found = self._hub.matching(
            lambda one: (
                (not statuses or one.status in statuses)
                and one.id.startswith(asked.instanceIdPrefix.value)
                and _is_between(one.created_at, begin, end)
            )
        )
        found.reverse()
        page, token = _page(found, asked.continuationToken.value, asked.maxInstanceCount)
        states = [_state(one, payloads=asked.fetchInputsAndOutputs) for one in page]
        return pb.QueryInstancesResponse(
            orchestrationState=states, continuationToken=events.text(token)
        )

    async def StreamInstanceHistory(
        self, request: pb.StreamInstanceHistoryRequest, context: _Context
    ) -> AsyncIterator[pb.HistoryChunk]:
        """Return the history of an instance."""
        await self._found(context, lambda: self._hub.require(request.instanceId))
        instance = self._hub.require(request.instanceId)
        yield pb.HistoryChunk(events=instance.execution.past)

    async def SignalEntity(
        self, request: pb.SignalEntityRequest, context: _Context
    ) -> pb.SignalEntityResponse:
        """Queue an operation that nobody waits for."""
        target = entity_id(request.instanceId)
        if not target:
            message = f"'{request.instanceId}' is not an entity id"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
        event = events.signal(self._hub.now, target, request.requestId, request)
        self._hub.send(target, event, due=_moment(request, "scheduledTime"))
        return pb.SignalEntityResponse()

    async def GetEntity(
        self, request: pb.GetEntityRequest, context: _Context
    ) -> pb.GetEntityResponse:
        """Return an entity."""
        entity = self._hub.entities.get(entity_id(request.instanceId))
        if entity is None or entity.state is None:
            return pb.GetEntityResponse(exists=False)
        found = _metadata(entity, state=request.includeState)
        return pb.GetEntityResponse(exists=True, entity=found)

    async def QueryEntities(
        self, request: pb.QueryEntitiesRequest, context: _Context
    ) -> pb.QueryEntitiesResponse:
        """Return a page of entities, by id."""
        asked = request.query
        begin, end = _moment(asked, "lastModifiedFrom"), _moment(asked, "lastModifiedTo")
        prefix = _prefix(asked.instanceIdStartsWith.value)
        found = [
            entity
            for entity in sorted(self._hub.entities.values(), key=lambda one: one.id)
            if (entity.state is not None or asked.includeTransient)
            and entity.id.startswith(prefix)
            and _is_between(entity.modified_at or self._hub.now, begin, end)
        ]
        page, token = _page(found, asked.continuationToken.value, asked.pageSize.value)
        return pb.QueryEntitiesResponse(
            entities=[_metadata(one, state=asked.includeState) for one in page],
            continuationToken=events.text(token),
        )

    async def CleanEntityStorage(
        self, request: pb.CleanEntityStorageRequest, context: _Context
    ) -> pb.CleanEntityStorageResponse:
        """Answer that there is nothing to clean."""
        return pb.CleanEntityStorageResponse()

    async def _found(self, context: _Context, act: Callable[[], object]) -> None:
        try:
            act()
        except InstanceNotFound as error:
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error))

    def _state_of(self, request: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
        instance = self._hub.instances.get(request.instanceId)
        if instance is None:
            return pb.GetInstanceResponse(exists=False)
        state = _state(instance, payloads=request.getInputsAndOutputs)
        return pb.GetInstanceResponse(exists=True, orchestrationState=state)

    async def _wait(
        self,
        request: pb.GetInstanceRequest,
        context: _Context,
        is_over: Callable[[pb.OrchestrationStatus], bool],
    ) -> pb.GetInstanceResponse:
        def is_answered() -> bool:
            instance = self._hub.instances.get(request.instanceId)
            return instance is None or is_over(instance.status)

        seconds = context.time_remaining()
        # Its timeout as the client said it: some has gone on the way, and gRPC rounds it.
        deadline = self._hub.now + timedelta(seconds=max(1, round(seconds or 0)))
        is_the_tests = _hub_name(context) == TEST_HUB
        poll = Poll(request.instanceId, is_answered, deadline if seconds else None, is_the_tests)
        with self._hub.polling(poll):
            while poll.waits(self._hub.now):
                await self._hub.change()
        if is_answered():
            return self._state_of(request)
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "it has not ended in time")
        raise asyncio.CancelledError  # abort has raised

    def _purged_by(self, wanted: pb.PurgeInstanceFilter) -> list[str]:
        begin, end = _moment(wanted, "createdTimeFrom"), _moment(wanted, "createdTimeTo")
        statuses = set(wanted.runtimeStatus) or TERMINAL
        found = self._hub.matching(
            lambda one: one.status in statuses and _is_between(one.created_at, begin, end)
        )
        return [instance.id for instance in found]


def _hub_name(context: _Context) -> str:
    metadata = cast("Any", context.invocation_metadata())
    return str(next((value for key, value in metadata or () if key == "taskhub"), ""))


def _is_between(at: datetime, begin: datetime | None, end: datetime | None) -> bool:
    return (begin is None or at >= begin) and (end is None or at < end)


def _moment(message: Message, name: str) -> datetime | None:
    return events.moment(getattr(message, name)) if message.HasField(name) else None


def _page[One](found: list[One], token: str, size: int) -> tuple[list[One], str | None]:
    first = int(token or 0)
    if size <= 0 or first + size >= len(found):
        return found[first:], None
    return found[first : first + size], str(first + size)


def _prefix(text: str) -> str:
    """Return `Name`, `@Name` or `@Name@key` as the beginning of ids."""
    if not text:
        return ""
    name, separator, key = text.removeprefix("@").partition("@")
    return f"@{name.lower()}{separator}{key}"


def _metadata(entity: Entity, *, state: bool) -> pb.EntityMetadata:
    holder = entity.lock.holder if entity.lock is not None else None
    return pb.EntityMetadata(
        instanceId=entity.id,
        lastModifiedTime=events.stamp(entity.modified_at) if entity.modified_at else None,
        backlogQueueSize=len(entity.queue),
        lockedBy=events.text(holder),
        serializedState=events.text(entity.state) if state else None,
    )


def _state(instance: Instance, *, payloads: bool) -> pb.OrchestrationState:
    started = instance.execution.started
    given = started.input if payloads and started.HasField("input") else None
    updated, completed = instance.updated_at, instance.completed_at
    return pb.OrchestrationState(
        instanceId=instance.id,
        name=instance.name,
        version=started.version if started.HasField("version") else None,
        orchestrationStatus=instance.status,
        scheduledStartTimestamp=events.stamp(instance.due) if instance.due else None,
        createdTimestamp=events.stamp(instance.created_at),
        lastUpdatedTimestamp=events.stamp(updated) if updated else None,
        completedTimestamp=events.stamp(completed) if completed else None,
        input=given,
        output=events.text(instance.output) if payloads else None,
        customStatus=events.text(instance.custom_status),
        failureDetails=instance.failure,
        executionId=events.text(instance.execution.id),
        parentInstanceId=events.text(instance.parent_id or None),
        tags=dict(started.tags),
    )
