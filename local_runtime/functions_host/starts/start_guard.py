"""A gRPC server between a function's durable client and the scheduler, for one invocation.

Everything passes as it is, but for starts: see event_starts.py.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self, cast
from weakref import WeakSet

import grpc
import grpc.aio
from azure.durable_functions.client import SyncDurableFunctionsClient
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.functions_host.starts.event_starts import EventStarts
from local_runtime.functions_host.starts.sync_clients import forget_sync_clients
from local_runtime.scheduler.client import MAX_MESSAGE_BYTES

logger = logging.getLogger("local_runtime.host")

_SERVICE = pb.DESCRIPTOR.services_by_name["TaskHubSidecarService"]
_STREAMS = {
    f"/{_SERVICE.full_name}/{method.name}" for method in _SERVICE.methods if method.server_streaming
}
_START = f"/{_SERVICE.full_name}/StartInstance"
_GET = f"/{_SERVICE.full_name}/GetInstance"
_HEADERS = ("taskhub", "x-user-agent")
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
]

# Calls that are still open may end. Cut off, they would show as lines of gRPC in the log.
_STOP_SECONDS = 0.5

type _Context = grpc.aio.ServicerContext[bytes, bytes]
type _Unary = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
type _Stream = grpc.aio.UnaryStreamMultiCallable[bytes, bytes]


class StartGuards:
    """Servers of this kind, one for each invocation, at an address that no other has.

    A function may leave a thread running that starts something after the function has returned. It
    does so at the address it knows, which must not belong to the next event by then. So a server
    goes on until nobody has a client of it any more.

    Args:
        channel: The way to the scheduler.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._lent: set[_Guard] = set()
        self._left: dict[_Guard, WeakSet[SyncDurableFunctionsClient]] = {}

    @asynccontextmanager
    async def lent(self, event: str) -> AsyncGenerator[str]:
        """Give the address of a scheduler to an invocation that is for `event`."""
        guard = _Guard(self._channel, EventStarts(event))
        await guard.start()
        self._lent.add(guard)
        try:
            yield guard.address
        finally:
            self._lent.discard(guard)
            # Of a coroutine the SDK closes the client.
            self._left[guard] = forget_sync_clients(guard.address)
            await self._stop_unused()

    async def __aenter__(self) -> Self:
        """Servers are started when they are needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the servers."""
        for guard in (*self._lent, *self._left):
            await _stop(guard)

    async def _stop_unused(self) -> None:
        unused = [guard for guard, clients in self._left.items() if not clients]
        # At once, for other invocations end meanwhile.
        for guard in unused:
            del self._left[guard]
        for guard in unused:
            await _stop(guard)


async def _stop(guard: "_Guard") -> None:
    """Stop a server, which may be another event's: whether that works is nothing to this one."""
    try:
        await guard.stop()
    except Exception:
        logger.exception(
            "the server at %s, between a function and the scheduler, goes on", guard.address
        )


class _Guard(grpc.GenericRpcHandler):
    """One server."""

    def __init__(self, channel: grpc.aio.Channel, starts: EventStarts) -> None:
        self.address = ""
        self._channel = channel
        self._starts = starts
        self._server = grpc.aio.server(options=_OPTIONS)

    async def start(self) -> None:
        self._server.add_generic_rpc_handlers((self,))
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.address = f"http://127.0.0.1:{port}"
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(grace=_STOP_SECONDS)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return what answers a call; messages are passed on as they come, not decoded."""
        method = handler_call_details.method

        async def one(request: bytes, context: _Context) -> bytes:
            try:
                if method == _START:
                    return await self._start(request, context)
                return await self._call(method, request, context)
            except grpc.aio.AioRpcError as error:
                return await context.abort(error.code(), error.details() or "")

        async def stream(request: bytes, context: _Context) -> AsyncIterator[bytes]:
            try:
                call: _Stream = self._channel.unary_stream(method)
                async for message in call(request, metadata=_headers(context)):
                    yield message
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), error.details() or "")

        if method in _STREAMS:
            return cast("Any", grpc.unary_stream_rpc_method_handler(stream))
        return cast("Any", grpc.unary_unary_rpc_method_handler(one))

    async def _start(self, content: bytes, context: _Context) -> bytes:
        request = pb.CreateInstanceRequest.FromString(content)
        self._starts.prepare(request)
        # Asked first, not only when the id is refused: the app's own policy may let a start
        # replace an instance that is finished, and it would run a second time.
        asked = pb.GetInstanceRequest(instanceId=request.instanceId).SerializeToString()
        found = pb.GetInstanceResponse.FromString(await self._call(_GET, asked, context))
        if found.exists and self._starts.is_ours(found.orchestrationState):
            return pb.CreateInstanceResponse(instanceId=request.instanceId).SerializeToString()
        return await self._call(_START, request.SerializeToString(), context)

    async def _call(self, method: str, request: bytes, context: _Context) -> bytes:
        call: _Unary = self._channel.unary_unary(method)
        return await call(request, metadata=_headers(context), timeout=context.time_remaining())


def _headers(context: _Context) -> list[tuple[str, str]]:
    sent = context.invocation_metadata() or ()
    return [(str(key), str(value)) for key, value in sent if key in _HEADERS]
