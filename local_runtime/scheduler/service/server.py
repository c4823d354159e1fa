"""Serves the Durable Task protocol on one port (architecture, steps 2, 5, 9 and 11)."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc.aio
from google.protobuf.message import Message

from local_runtime.clock import SystemClock
from local_runtime.errors import StartupError
from local_runtime.scheduler.client import MAX_MESSAGE_BYTES
from local_runtime.scheduler.service.calls import hub_unary, streaming, unary
from local_runtime.scheduler.service.hubs import Hubs
from local_runtime.scheduler.service.methods import ON_HUBS, STREAMS, UNARY
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
    but the last moments may be lost when the machine itself goes down. Instances that ended longer
    than `retention` ago are deleted; without it everything is kept.
    """

    data: Path
    grpc_port: int = 8080
    durability: Durability = "full"
    retention: timedelta | None = None


async def serve(settings: SchedulerSettings, *, ready: Ready, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; call `ready` with the port once clients can connect.

    Raises:
        StartupError: the port or the data folder cannot be used.
    """
    hubs = Hubs.open(settings.data, SystemClock(), settings.durability, settings.retention)
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
            "Stop the program that uses it, or choose another port with --scheduler-port "
            "(--grpc-port for the scheduler alone)."
        ) from error
    await server.start()
    try:
        ready({"grpc_port": bound})
        await stop.wait()
    finally:
        # Streams of work items never end by themselves: they are cut, and workers reconnect.
        await server.stop(grace=0.5)


def _handlers(hubs: Hubs) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
    # Requests are read by the handlers. The ignored arguments are handlers of grpc.aio's shape,
    # which the stubs do not know.
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: grpc.unary_unary_rpc_method_handler(
            unary(hubs, handle, request),  # pyright: ignore[reportArgumentType]
            response_serializer=_to_bytes,
        )
        for name, (handle, request) in UNARY.items()
    }
    for name, (handle, request) in ON_HUBS.items():
        handlers[name] = grpc.unary_unary_rpc_method_handler(
            hub_unary(hubs, handle, request),  # pyright: ignore[reportArgumentType]
            response_serializer=_to_bytes,
        )
    for name, (handle, request) in STREAMS.items():
        handlers[name] = grpc.unary_stream_rpc_method_handler(
            streaming(hubs, handle, request),  # pyright: ignore[reportArgumentType]
            response_serializer=_to_bytes,
        )
    return handlers


def _to_bytes(message: Message | bytes) -> bytes:
    # Work items come as bytes already: see storage/wire.py.
    return message if isinstance(message, bytes) else message.SerializeToString()
