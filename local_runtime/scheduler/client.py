"""How the other rooms talk to a scheduler: a gRPC stub and the metadata that names the task hub."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import grpc.aio
from durabletask.internal import orchestrator_service_pb2_grpc as rpc

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_BYTES_KEY = "x-max-message-bytes"
"""In the metadata of GetWorkItems: the largest message that the worker receives."""

_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A restarted scheduler must be found again within a second or two, not after gRPC's default
    # back-off of up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class SchedulerClient:
    """A stub of the scheduler's service and the metadata to send with each call.

    `await client.stub.GetInstance(request, metadata=client.metadata)`
    """

    def __init__(self, channel: grpc.aio.Channel, task_hub: str) -> None:
        self.channel = channel
        self.stub = rpc.TaskHubSidecarServiceStub(channel)
        self.metadata = (("taskhub", task_hub), ("x-user-agent", "local-runtime"))
        self.task_hub = task_hub

    @classmethod
    @asynccontextmanager
    async def open(cls, address: str, task_hub: str) -> AsyncGenerator["SchedulerClient"]:
        """Connect to `address` (`http://localhost:8080` or `localhost:8080`) for one task hub."""
        target = urlsplit(address).netloc if "://" in address else address
        async with grpc.aio.insecure_channel(target, options=_OPTIONS) as channel:
            yield cls(channel, task_hub)
