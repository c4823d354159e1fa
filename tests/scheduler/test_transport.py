"""The gRPC server by itself, on the loop that is made for it and on a usual one."""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable

import grpc.aio
import pytest

from local_runtime.scheduler.transport.completion_loop import CompletionLoop
from local_runtime.scheduler.transport.rpc_server import Call, RpcServer

PATIENCE = 20.0
OPTIONS = [("grpc.max_receive_message_length", 10_000), ("grpc.so_reuseport", 0)]

type Client = grpc.aio.Channel
type Run = Callable[[Callable[[Client], Awaitable[None]]], None]


class Answers:
    """What the server does, and what it has seen of its clients."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.cut = asyncio.Event()
        self.sent = 0

    async def echo(self, call: Call, data: bytes) -> None:
        call.reply(data + b"".join(v.encode() for k, v in call.metadata if k == "more"))

    async def crash(self, call: Call, data: bytes) -> None:
        raise ValueError("broken")

    async def refuse(self, call: Call, data: bytes) -> None:
        call.end(grpc.StatusCode.NOT_FOUND, "nobody: é\n")

    async def hold(self, call: Call, data: bytes) -> None:
        self.held.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cut.set()

    async def count(self, call: Call, data: bytes) -> None:
        def sent() -> None:
            self.sent += 1

        for number in range(int(data)):
            call.send(b"%d" % number, sent)
            if number % 10 == 0:
                await call.drained()


@pytest.fixture(params=[CompletionLoop, asyncio.new_event_loop], ids=["own loop", "any loop"])
def factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return request.param


@pytest.fixture
def run(factory: Callable[[], asyncio.AbstractEventLoop]) -> Run:
    def start(client: Callable[..., Awaitable[None]]) -> None:
        asyncio.run(serving(client), loop_factory=factory)

    return start


async def serving(client: Callable[..., Awaitable[None]]) -> None:
    answers = Answers()
    names = ("echo", "crash", "refuse", "hold", "count")
    server = RpcServer(OPTIONS, {f"/S/{name}": getattr(answers, name) for name in names})
    port = server.listen(0)
    server.start()
    async with asyncio.timeout(PATIENCE):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await client(channel, answers)
        await server.stop(0)


async def status_of(call: Awaitable[bytes]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details() or ""


def test_many_calls_at_once_are_each_answered(run: Run) -> None:
    async def client(channel: Client, _: Answers) -> None:
        echo = channel.unary_unary("/S/echo")
        calls = [echo(b"%d." % n, metadata=(("more", f"{n}"),)) for n in range(500)]
        assert await asyncio.gather(*calls) == [b"%d.%d" % (n, n) for n in range(500)]

    run(client)


def test_what_goes_wrong_is_a_status(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def client(channel: Client, _: Answers) -> None:
        async def status(method: str, data: bytes = b"") -> tuple[grpc.StatusCode, str]:
            return await status_of(channel.unary_unary(f"/S/{method}")(data))

        assert await status("refuse") == (grpc.StatusCode.NOT_FOUND, "nobody: é\n")
        assert await status("nothing") == (
            grpc.StatusCode.UNIMPLEMENTED,
            "there is no method /S/nothing",
        )
        assert (await status("crash"))[0] is grpc.StatusCode.UNKNOWN
        assert (await status("echo", b"x" * 20_000))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await channel.unary_unary("/S/echo")(b"on") == b"on"

    run(client)
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "/S/crash" in error.getMessage()


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
def test_a_client_that_leaves_ends_what_waits_for_it(run: Run, how: str) -> None:
    async def client(channel: Client, answers: Answers) -> None:
        call = channel.unary_unary("/S/hold")(b"", timeout=None if how == "cancelled" else 0.2)
        await answers.held.wait()
        if how == "cancelled":
            call.cancel()
        await answers.cut.wait()

    run(client)


def test_a_stream_comes_whole_and_in_order(run: Run) -> None:
    async def client(channel: Client, answers: Answers) -> None:
        found = [message async for message in channel.unary_stream("/S/count")(b"2000")]
        assert found == [b"%d" % number for number in range(2000)]
        assert answers.sent == 2000

    run(client)


def test_a_stream_waits_for_a_reader_that_is_slow(run: Run) -> None:
    async def client(channel: Client, answers: Answers) -> None:
        call = channel.unary_stream("/S/count")(b"1000000")
        for _ in range(5):
            await call.read()
        assert answers.sent < 1_000_000  # the rest was neither sent nor kept
        call.cancel()

    run(client)


def test_stopping_cuts_what_is_under_way(run: Run) -> None:
    async def client(channel: Client, answers: Answers) -> None:
        call = channel.unary_unary("/S/hold")(b"")
        await answers.held.wait()
        # The server is stopped while the client still waits.
        stopped.append(call)

    stopped: list[Awaitable[bytes]] = []
    run(client)
    assert len(stopped) == 1


def test_a_port_in_use_is_refused(run: Run) -> None:
    async def client(channel: Client, answers: Answers) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            another = RpcServer(OPTIONS, {})
            with pytest.raises(RuntimeError, match="port"):
                another.listen(taken.getsockname()[1])
            another.start()
            await another.stop(0)

    run(client)


def test_the_loop_wakes_for_threads_sockets_timers_and_signals(
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        for _ in range(20):
            woken.clear()
            threading.Thread(target=loop.call_soon_threadsafe, args=(woken.set,)).start()
            await woken.wait()
        assert await asyncio.to_thread(threading.get_ident) != threading.get_ident()
        signalled = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, signalled.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        await signalled.wait()
        server = await asyncio.start_server(answer_line, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for number in range(50):
            writer.write(b"%d\n" % number)
            assert await reader.readline() == b"%d!\n" % number
        writer.close()
        server.close()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()

    async def answer_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            writer.write(line.rstrip() + b"!\n")
        writer.close()

    async def in_time() -> None:
        async with asyncio.timeout(PATIENCE):
            await main()

    asyncio.run(in_time(), loop_factory=factory)
