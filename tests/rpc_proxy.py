"""Passes gRPC calls on as they are, and on demand loses answers, repeats, delays or refuses.

A duplicate makes no sense in a TCP stream, so it is made here: of a whole call.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import grpc
import grpc.aio

from tests.ports import free_port

type Send = Callable[[], Awaitable[bytes]]
"""Passes the call on, once more each time; gives the answer, or raises what came of it."""
type Meddling = Callable[[Send], Awaitable[bytes]]
"""What is done with one call: from the way to pass it on to the answer its caller gets."""

_STREAMS = frozenset({"GetWorkItems", "StreamInstanceHistory"})
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
    # By default gRPC refuses calls at random where more than 1000 have come at once.
    ("grpc.server.max_pending_requests", 1_000_000),
    ("grpc.server.max_pending_requests_hard_limit", 1_000_000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]
# A caller that hangs is noticed here as the server behind would notice it.
_KEEPALIVE = [
    ("grpc.keepalive_time_ms", 5000),
    ("grpc.keepalive_timeout_ms", 5000),
    ("grpc.http2.ping_timeout_ms", 5000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
]
_NOT_PASSED_ON = ("grpc-", "user-agent", "content-type", "te")


class Refused(Exception):
    """What the caller is told in place of an answer."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(f"refused on the way ({code.name})")
        self.code = code


def refused(code: grpc.StatusCode) -> Meddling:
    """Answer with an error; the call never arrives."""

    async def meddle(send: Send) -> bytes:
        del send
        raise Refused(code)

    return meddle


async def lost(send: Send) -> bytes:
    """Pass the call on, and lose the answer."""
    await send()
    raise Refused(grpc.StatusCode.UNAVAILABLE)


async def twice(send: Send) -> bytes:
    """Pass the call on twice at the same time; the caller gets the first of the two answers."""
    first, _ = await asyncio.gather(send(), send(), return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    return first


def late(seconds: float) -> Meddling:
    """Pass the call on after a while, also where its caller has given up meanwhile."""

    async def meddle(send: Send) -> bytes:
        await asyncio.sleep(seconds)
        return await send()

    return meddle


class Held:
    """Holds a call until it is told to pass it on, also where its caller has given up."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.answered = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self, send: Send) -> bytes:
        self.arrived.set()
        await self.let_go.wait()
        try:
            return await send()
        finally:
            self.answered.set()


@dataclass
class _Rule:
    """What is done with calls of a method: with the next few, or with some for ever."""

    method: str
    name: str
    meddling: Meddling
    share: float = 1.0
    left: int | None = None


@dataclass
class RpcProxy:
    """Serves gRPC on a port of its own before another server."""

    target: str
    seed: object = 0
    address: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    did: Counter[str] = field(default_factory=Counter)
    """How often what was done: by method and name, such as `CompleteActivityTask lost`."""
    calls: Counter[str] = field(default_factory=Counter)
    """How many calls came, by method."""
    on_call: Callable[[str, bytes], None] | None = None
    """Called with each call's method and request before it is passed on."""
    on_meddling: Callable[[str, str], None] | None = None
    """Called with the method and the name of what is about to be done with a call."""

    def __post_init__(self) -> None:
        self._chance = random.Random(f"{self.seed}/rpc")
        self._rules: list[_Rule] = []
        self._streams: set[grpc.aio.UnaryStreamCall] = set()
        self._meddled: set[asyncio.Task[bytes]] = set()
        self._channel: grpc.aio.Channel | None = None

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["RpcProxy"]:
        """Serve until the end."""
        server = grpc.aio.server(options=[*_OPTIONS, *_KEEPALIVE])
        server.add_generic_rpc_handlers((_Handler(self._unary, self._stream),))
        server.add_insecure_port(self.address)
        async with grpc.aio.insecure_channel(self.target, options=_OPTIONS) as self._channel:
            await server.start()
            try:
                yield self
            finally:
                for task in self._meddled:
                    task.cancel()
                await server.stop(grace=0.2)

    def meddle(
        self, method: str, meddling: Meddling, name: str = "", *, times: int | None = 1
    ) -> None:
        """Do something with the next calls of a method; with all of them where `times` is None."""
        self._rules.append(_Rule(method, name or _name(meddling), meddling, left=times))

    def meddle_at_random(self, method: str, share: float, meddling: Meddling, name: str) -> None:
        """Do something with a share of a method's calls, chosen by chance."""
        self._rules.append(_Rule(method, name, meddling, share))

    def leave_alone(self) -> None:
        """Pass everything on from now."""
        self._rules.clear()

    def cut_streams(self) -> int:
        """End all streams of work items and histories with UNAVAILABLE; how many there were."""
        found = list(self._streams)
        for stream in found:
            stream.cancel()
        return len(found)

    def _choose(self, method: str) -> _Rule | None:
        for rule in self._rules:
            if rule.method != method or rule.left == 0:
                continue
            if rule.left is not None:
                rule.left -= 1
                return rule
            if self._chance.random() < rule.share:
                return rule
        return None

    async def _unary(
        self, path: str, request: bytes, context: grpc.aio.ServicerContext
    ) -> bytes | None:
        assert self._channel is not None
        method = self._seen(path, request)
        metadata = _metadata(context)
        call = self._channel.unary_unary(path)
        rule = self._choose(method)
        try:
            if rule is None:
                return await call(request, metadata=metadata, timeout=context.time_remaining())
            self._note(method, rule)
            doing = asyncio.create_task(
                _bytes(rule.meddling(lambda: call(request, metadata=metadata)))
            )
            self._meddled.add(doing)
            doing.add_done_callback(self._forget)
            # Its caller may give up; what is on its way arrives all the same.
            return await asyncio.shield(doing)
        except Refused as error:
            await context.abort(error.code, str(error))
        except grpc.aio.AioRpcError as error:
            trailing = tuple(error.trailing_metadata() or ())
            await context.abort(error.code(), error.details() or "", trailing)
        return None

    def _forget(self, done: asyncio.Task[bytes]) -> None:
        self._meddled.discard(done)
        if not done.cancelled():
            done.exception()  # its caller may be gone, and nobody else asks for it

    async def _stream(
        self, path: str, request: bytes, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        assert self._channel is not None
        method = self._seen(path, request)
        stream = self._channel.unary_stream(path)(request, metadata=_metadata(context))
        self._streams.add(stream)
        try:
            if (rule := self._choose(method)) is not None:
                self._note(method, rule)
                await rule.meddling(_nothing)
            async for message in stream:
                yield message
        except Refused as error:
            await context.abort(error.code, str(error))
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "")
        except asyncio.CancelledError:
            if not stream.cancelled():
                raise  # the caller is gone
            await context.abort(grpc.StatusCode.UNAVAILABLE, "cut on the way")
        finally:
            self._streams.discard(stream)
            stream.cancel()

    def _note(self, method: str, rule: _Rule) -> None:
        self.did[f"{method} {rule.name}"] += 1
        if self.on_meddling is not None:
            self.on_meddling(method, rule.name)

    def _seen(self, path: str, request: bytes) -> str:
        method = path.rpartition("/")[2]
        self.calls[method] += 1
        if self.on_call is not None:
            self.on_call(method, request)
        return method


class _Handler(grpc.GenericRpcHandler):
    """Takes every method there is, as bytes."""

    def __init__(self, unary: Callable[..., object], stream: Callable[..., object]) -> None:
        self._unary = unary
        self._stream = stream

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        path = handler_call_details.method
        if path.rpartition("/")[2] in _STREAMS:

            async def stream(request: bytes, context: object) -> AsyncIterator[bytes]:
                async for message in self._stream(path, request, context):
                    yield message

            return grpc.unary_stream_rpc_method_handler(stream)

        async def unary(request: bytes, context: object) -> bytes:
            return await self._unary(path, request, context)

        return grpc.unary_unary_rpc_method_handler(unary)


def _metadata(context: grpc.aio.ServicerContext) -> list[tuple[str, str | bytes]]:
    given = context.invocation_metadata() or ()
    return [(key, value) for key, value in given if not key.startswith(_NOT_PASSED_ON)]


def _name(meddling: Meddling) -> str:
    return getattr(meddling, "__name__", type(meddling).__name__).lower()


async def _bytes(answer: Awaitable[bytes]) -> bytes:
    return await answer


async def _nothing() -> bytes:
    return b""
