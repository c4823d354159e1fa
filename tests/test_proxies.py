"""What tests put between a client and a server does what it says, and nothing else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import pytest

from tests.proxy import TcpProxy
from tests.rpc_proxy import Held, RpcProxy, lost, refused, twice


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    """A server that sends back each line."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


class Line:
    """A connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, proxy: TcpProxy) -> AsyncIterator["Line"]:
        host, port = proxy.address.split(":")
        found = cls(*await asyncio.open_connection(host, int(port)))
        yield found
        found.writer.close()

    async def ask(self, text: bytes = b"a\n", patience: float = 5) -> bytes:
        self.writer.write(text)
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.readline(), patience)
        return b"cut"


async def test_bytes_are_passed_on_and_delayed(echo: str) -> None:
    async with TcpProxy.before(echo) as proxy, Line.to(proxy) as line:
        assert await line.ask() == b"a\n"
        proxy.latency = 0.15
        began = asyncio.get_running_loop().time()
        assert await line.ask() == b"a\n"
        assert asyncio.get_running_loop().time() - began >= 0.29


async def test_connections_are_cut_at_once_or_after_some_bytes(echo: str) -> None:
    async with TcpProxy.before(echo) as proxy:
        async with Line.to(proxy) as line:
            await line.ask()
            assert proxy.cut() == 1
            assert await line.ask() in (b"", b"cut")
        proxy.cut_after = 5
        async with Line.to(proxy) as line:
            assert [await line.ask(), await line.ask()] == [b"a\n", b"a\n"]
            assert await line.ask() in (b"", b"cut")


async def test_a_stalled_connection_holds_its_bytes_and_stays_open(echo: str) -> None:
    async with TcpProxy.before(echo) as proxy, Line.to(proxy) as line:
        await line.ask()
        proxy.stall("down")
        with pytest.raises(TimeoutError):
            await line.ask(patience=0.2)
        proxy.flow()
        assert await asyncio.wait_for(line.reader.readline(), 5) == b"a\n"


async def test_connections_are_refused_by_the_proxy_or_by_the_system(echo: str) -> None:
    async with TcpProxy.before(echo) as proxy:
        proxy.refuse()
        async with Line.to(proxy) as line:
            assert await line.ask() in (b"", b"cut")
        await proxy.hang_up()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*proxy.address.split(":"))
        await proxy.listen()
        async with Line.to(proxy) as line:
            assert await line.ask() == b"a\n"


class Counting(grpc.GenericRpcHandler):
    """A service that answers each call with its number."""

    def __init__(self) -> None:
        self.count = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        async def unary(request: bytes, context: object) -> bytes:
            self.count += 1
            return str(self.count).encode()

        async def stream(request: bytes, context: object) -> AsyncIterator[bytes]:
            yield request
            await asyncio.Event().wait()

        if handler_call_details.method.endswith("GetWorkItems"):
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)


@pytest.fixture
async def rpc() -> AsyncIterator[tuple[RpcProxy, Counting, grpc.aio.Channel]]:
    counting = Counting()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((counting,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with (
        RpcProxy(f"127.0.0.1:{port}").serving() as proxy,
        grpc.aio.insecure_channel(proxy.address) as channel,
    ):
        yield proxy, counting, channel
    await server.stop(None)


async def code(call: grpc.aio.UnaryUnaryCall) -> grpc.StatusCode:
    with contextlib.suppress(grpc.aio.AioRpcError):
        await call
    return await call.code()


async def test_a_call_is_passed_on_refused_lost_or_doubled(
    rpc: tuple[RpcProxy, Counting, grpc.aio.Channel],
) -> None:
    proxy, counting, channel = rpc
    call = channel.unary_unary("/s/M")
    assert await call(b"") == b"1"
    proxy.meddle("M", refused(grpc.StatusCode.RESOURCE_EXHAUSTED), "refused")
    assert await code(call(b"")) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert counting.count == 1
    proxy.meddle("M", lost)
    assert await code(call(b"")) is grpc.StatusCode.UNAVAILABLE
    assert counting.count == 2
    proxy.meddle("M", twice)
    assert await call(b"") in (b"3", b"4")
    assert (counting.count, proxy.did.total()) == (4, 3)


async def test_a_held_call_arrives_though_its_caller_has_given_up(
    rpc: tuple[RpcProxy, Counting, grpc.aio.Channel],
) -> None:
    proxy, counting, channel = rpc
    proxy.meddle("M", held := Held())
    call = channel.unary_unary("/s/M")(b"", timeout=0.2)
    assert await code(call) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert counting.count == 0
    held.let_go.set()
    await asyncio.wait_for(held.answered.wait(), 5)
    assert counting.count == 1


async def test_a_stream_is_passed_on_and_cut(
    rpc: tuple[RpcProxy, Counting, grpc.aio.Channel],
) -> None:
    proxy, _, channel = rpc
    stream = channel.unary_stream("/s/GetWorkItems")(b"x")
    assert await stream.read() == b"x"
    assert proxy.cut_streams() == 1
    assert await stream.code() is grpc.StatusCode.UNAVAILABLE
