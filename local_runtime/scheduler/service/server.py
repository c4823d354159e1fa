"""Serves the Durable Task protocol on one port (architecture, steps 2, 5, 9 and 11)."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from local_runtime.clock import SystemClock
from local_runtime.errors import StartupError
from local_runtime.scheduler.client import MAX_MESSAGE_BYTES
from local_runtime.scheduler.service.calls import hub_unary, streaming, unary
from local_runtime.scheduler.service.hubs import Hubs
from local_runtime.scheduler.service.methods import ON_HUBS, STREAMS, UNARY
from local_runtime.scheduler.storage.database import Durability
from local_runtime.scheduler.transport.rpc_server import Answer, RpcServer

logger = logging.getLogger("local_runtime.scheduler")

type Ready = Callable[[Mapping[str, object]], None]

_SERVICE = "TaskHubSidecarService"
KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS = 3000, 5000
_MOST_PENDING = 100_000  # calls that have come and not been looked at: some hundred bytes each
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A second server on the port must fail, not share it.
    ("grpc.so_reuseport", 0),
    # A client whose process hangs does not answer pings: its connection, and with it its leases,
    # ends within the sum of the two times. The second timeout holds where data is on its way.
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.http2.max_pings_without_data", 0),
    # By default gRPC refuses calls at random where more than 1000 have come at once. The limit on
    # what is accepted stands where it can be explained: at the webhook.
    ("grpc.server.max_pending_requests", _MOST_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", _MOST_PENDING),
    # Workers ping on idle streams; by default a server hangs up on those that do so often.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    ("grpc.http2.max_ping_strikes", 0),
    # On one machine there is no bandwidth to be found out by pings; a window that is large enough.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 1024 * 1024),
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
    server = RpcServer(_OPTIONS, _answers(hubs))
    try:
        bound = server.listen(port)
    except RuntimeError as error:
        raise StartupError(
            f"port {port} on 127.0.0.1 is in use, so the scheduler cannot listen there. "
            "Stop the program that uses it, or choose another port with --scheduler-port "
            "(--grpc-port for the scheduler alone)."
        ) from error
    server.start()
    try:
        ready({"grpc_port": bound})
        await stop.wait()
    finally:
        # Streams of work items never end by themselves: they are cut, and workers reconnect.
        await server.stop(grace=0.5)


def _answers(hubs: Hubs) -> dict[str, Answer]:
    answers = {name: unary(hubs, handle, kind) for name, (handle, kind) in UNARY.items()}
    answers |= {name: hub_unary(hubs, handle, kind) for name, (handle, kind) in ON_HUBS.items()}
    answers |= {name: streaming(hubs, *stream) for name, stream in STREAMS.items()}
    return {f"/{_SERVICE}/{name}": answer for name, answer in answers.items()}
