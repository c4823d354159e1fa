"""How the other rooms talk to a scheduler: a gRPC stub and the metadata that names the task hub."""

import random
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2_grpc as rpc

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
PING_SECONDS = 5
"""How often a scheduler sends a ping on a stream of work items."""
MAX_BYTES_KEY = "x-max-message-bytes"
"""In the metadata of GetWorkItems: the largest message that the worker receives."""

_KEEPALIVE_TIMEOUT_MS = 10_000
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A restarted scheduler must be found again within a second or two, not after gRPC's default
    # back-off of up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A scheduler that hangs keeps its connections: only a ping without an answer tells.
    ("grpc.keepalive_time_ms", PING_SECONDS * 1000),
    # The second timeout holds for pings in general, and is a minute unless it is set.
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    ("grpc.http2.ping_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Else gRPC lets all channels of a process share one connection, and what many calls wait for
    # on one of them would hold up the others.
    ("grpc.use_local_subchannel_pool", 1),
]

_MAY_PASS = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
    }
)
# In gRPC's own words on the side that sends and on the one that receives, and in .NET's.
_OF_SIZE = re.compile(r"larger than max|exceeds the (configured )?max", re.IGNORECASE)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


class SchedulerClient:
    """A stub of the scheduler's service and the metadata to send with each call.

    `await client.stub.GetInstance(request, metadata=client.metadata)`

    Attributes:
        stub: For calls that are answered soon.
        waits: For calls that may wait long, on a connection of their own: thousands of them do not
            stand in the way of the others.
    """

    def __init__(
        self, channel: grpc.aio.Channel, task_hub: str, waits: grpc.aio.Channel | None = None
    ) -> None:
        self.channel = channel
        self.stub = rpc.TaskHubSidecarServiceStub(channel)
        self.waits = self.stub if waits is None else rpc.TaskHubSidecarServiceStub(waits)
        self.metadata = (("taskhub", task_hub), ("x-user-agent", "local-runtime"))
        self.task_hub = task_hub

    @classmethod
    @asynccontextmanager
    async def open(cls, address: str, task_hub: str) -> AsyncGenerator["SchedulerClient"]:
        """Connect to `address` (`http://localhost:8080` or `localhost:8080`) for one task hub."""
        target = urlsplit(address).netloc if "://" in address else address
        async with (
            grpc.aio.insecure_channel(target, options=_OPTIONS) as channel,
            grpc.aio.insecure_channel(target, options=_OPTIONS) as waits,
        ):
            yield cls(channel, task_hub, waits)


def is_too_large(error: grpc.aio.AioRpcError) -> bool:
    """Whether a message was refused for its size: it would be so again."""
    exhausted = error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    return exhausted and _OF_SIZE.search(error.details() or "") is not None


def may_pass(error: grpc.aio.AioRpcError) -> bool:
    """Whether the same call may succeed later; it may also have succeeded already."""
    return error.code() in _MAY_PASS and not is_too_large(error)


def pauses() -> Iterator[float]:
    """Return the seconds to wait before each repetition of a call: more and more, up to two.

    Each is a little random: many who wait for the same scheduler must not all come at once.
    """
    longest = _FIRST_PAUSE
    while True:
        yield longest * random.uniform(0.5, 1.0)
        longest = min(longest * 2, _LONGEST_PAUSE)
