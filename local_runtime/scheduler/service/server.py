"""Serves the Durable Task protocol on one port (architecture, steps 2, 5, 9 and 11)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from local_runtime.clock import SystemClock
from local_runtime.errors import StartupError
from local_runtime.scheduler.client import MAX_MESSAGE_BYTES
from local_runtime.scheduler.service import (
    entity_calls,
    instance_calls,
    list_calls,
    worker_calls,
)
from local_runtime.scheduler.service.calls import Context, hub_of, refuse, unary
from local_runtime.scheduler.service.hubs import Hubs
from local_runtime.scheduler.storage.database import Durability

logger = logging.getLogger("local_runtime.scheduler")

type Ready = Callable[[Mapping[str, object]], None]

_SERVICE = "TaskHubSidecarService"
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A second server on the port must fail, not share it.
    ("grpc.so_reuseport", 0),
    # Workers ping on idle streams; by default a server hangs up on those that do so often.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    ("grpc.http2.max_ping_strikes", 0),
]


@dataclass(frozen=True)
class SchedulerSettings:
    """Where a scheduler keeps its data, where it listens, and how it writes.

    Durability `full` flushes each commit to disk; `relaxed` survives the death of the process,
    but the last moments may be lost when the machine itself goes down.
    """

    data: Path
    grpc_port: int = 8080
    durability: Durability = "full"


async def serve(settings: SchedulerSettings, *, ready: Ready, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; call `ready` with the port once clients can connect.

    Raises:
        StartupError: the port or the data folder cannot be used.
    """
    hubs = Hubs.open(settings.data, SystemClock(), settings.durability)
    try:
        await serve_hubs(hubs, settings.grpc_port, ready=ready, stop=stop)
    finally:
        await hubs.close()


async def serve_hubs(hubs: Hubs, port: int, *, ready: Ready, stop: asyncio.Event) -> None:
    """Serve the hubs of an open data folder until `stop` is set.

    Raises:
        StartupError: the port cannot be used.
    """
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_SERVICE, _handlers(hubs)),)
    )
    try:
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError as error:
        raise StartupError(
            f"port {port} on 127.0.0.1 is in use, so the scheduler cannot listen there. "
            "Stop the program that uses it, or choose another port."
        ) from error
    await server.start()
    try:
        ready({"grpc_port": bound})
        await stop.wait()
    finally:
        # Streams of work items never end by themselves: they are cut, and workers reconnect.
        await server.stop(grace=0.5)


def _handlers(hubs: Hubs) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
    def call(
        handle: Callable[[Any, Any], Any], request: type[Message]
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        return grpc.unary_unary_rpc_method_handler(
            unary(hubs, handle),  # pyright: ignore[reportArgumentType] - grpc.aio's own shape
            request_deserializer=request.FromString,
            response_serializer=_to_bytes,
        )

    def stream(
        handle: Callable[[Any, Any, Any], Awaitable[None]],
        request: type[Message],
        serialize: Callable[[Any], bytes],
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        async def call_stream(message: Message, context: Context) -> None:
            try:
                await handle(hub_of(hubs, context), message, context.write)
            except Exception as error:
                await refuse(context, error)

        return grpc.unary_stream_rpc_method_handler(
            call_stream,  # pyright: ignore[reportArgumentType] - grpc.aio's own shape
            request_deserializer=request.FromString,
            response_serializer=serialize,
        )

    workers, instances, lists = worker_calls, instance_calls, list_calls
    return {
        "Hello": call(workers.hello, Empty),
        # Work items are put together as bytes; see storage/wire.py.
        "GetWorkItems": stream(workers.get_work_items, pb.GetWorkItemsRequest, bytes),
        "CompleteOrchestratorTask": call(workers.complete_turn, pb.OrchestratorResponse),
        "CompleteActivityTask": call(workers.complete_activity, pb.ActivityResponse),
        "CompleteEntityTask": call(workers.complete_batch, pb.EntityBatchResult),
        "AbandonTaskOrchestratorWorkItem": call(
            workers.abandon_turn, pb.AbandonOrchestrationTaskRequest
        ),
        "AbandonTaskActivityWorkItem": call(
            workers.abandon_activity, pb.AbandonActivityTaskRequest
        ),
        "AbandonTaskEntityWorkItem": call(workers.abandon_batch, pb.AbandonEntityTaskRequest),
        "StartInstance": call(instances.start, pb.CreateInstanceRequest),
        "GetInstance": call(instances.get, pb.GetInstanceRequest),
        "WaitForInstanceStart": call(instances.wait_for_start, pb.GetInstanceRequest),
        "WaitForInstanceCompletion": call(instances.wait_for_completion, pb.GetInstanceRequest),
        "RaiseEvent": call(instances.raise_event, pb.RaiseEventRequest),
        "TerminateInstance": call(instances.terminate, pb.TerminateRequest),
        "SuspendInstance": call(instances.suspend, pb.SuspendRequest),
        "ResumeInstance": call(instances.resume, pb.ResumeRequest),
        "QueryInstances": call(lists.query, pb.QueryInstancesRequest),
        "PurgeInstances": call(lists.purge_instances, pb.PurgeInstancesRequest),
        "StreamInstanceHistory": stream(
            lists.stream_history, pb.StreamInstanceHistoryRequest, _to_bytes
        ),
        "SignalEntity": call(entity_calls.signal, pb.SignalEntityRequest),
        "GetEntity": call(entity_calls.get, pb.GetEntityRequest),
    }


def _to_bytes(message: Message) -> bytes:
    return message.SerializeToString()
