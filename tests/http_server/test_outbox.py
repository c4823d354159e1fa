"""What connections of one server write in one turn goes out together, whole and in order."""

import asyncio
import contextlib

import pytest

from local_runtime.http_server.outbox import HeldTransport, Outbox
from local_runtime.http_server.server import listen, serving
from local_runtime.http_server.whole_reply import WholeReply

LARGE = 3_000_000


async def application(scope, receive, send) -> None:
    """Answer with what the path names: in one piece, in several, or after the others."""
    kind, _, number = scope["path"][1:].partition("/")
    match kind:
        case "whole":
            await WholeReply(200, [], b"whole " + number.encode())(scope, receive, send)
        case "later":
            await asyncio.sleep(0)
            await WholeReply(200, [], b"later " + number.encode())(scope, receive, send)
        case _:
            parts = [b"large", b"x" * LARGE, b"end"] if kind == "large" else [b"in ", b"parts"]
            length = str(sum(map(len, parts))).encode()
            head = [(b"content-length", length)]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def port():
    """Of a server that has another connection, which asks for nothing."""
    async with serving(application, listen(0, "--port"), grace_seconds=1) as port:
        _, bystander = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(60):
            yield port
        bystander.close()
        with contextlib.suppress(OSError):
            await bystander.wait_closed()


def request(path: str, *headers: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *headers, "", "")).encode()


async def body(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    _, _, length = head.lower().partition(b"content-length: ")
    return await reader.readexactly(int(length.split(b"\r\n")[0]))


async def asked(port: int, sent: bytes, answers: int) -> list[bytes]:
    """The answers on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    found = [await body(reader) for _ in range(answers)]
    writer.close()
    return found


async def test_requests_in_one_piece_are_answered_in_their_order(port) -> None:
    paths = ["/whole/1", "/parts", "/later/2", "/large", "/parts", "/whole/3", "/later/4"]

    found = await asked(port, b"".join(map(request, paths)), len(paths))

    large = b"large" + b"x" * LARGE + b"end"
    assert found == [
        b"whole 1", b"in parts", b"later 2", large, b"in parts", b"whole 3", b"later 4"
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/whole/1", "/parts", "/later/1", "/large"])
async def test_the_last_answer_is_whole_before_the_connection_closes(port, path) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(path, "Connection: close"))

    await body(reader)

    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("path", ["/whole/1", "/parts", "/later/1"])
async def test_a_client_that_has_closed_its_side_gets_its_answer(port, path) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(path))
    writer.write_eof()

    await body(reader)

    assert await reader.read() == b""
    writer.close()


async def test_many_connections_at_once_get_each_its_own_answer(port) -> None:
    ways = ["whole", "later"]
    found = await asyncio.gather(
        *(asked(port, request(f"/{ways[i % 2]}/{i}"), 1) for i in range(200))
    )

    assert found == [[f"{ways[i % 2]} {i}".encode()] for i in range(200)]


class Sent:
    """In the place of a connection's transport: notes what is sent."""

    def __init__(self, log: list[bytes]) -> None:
        self.log = log
        self.write = log.append

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.log.append(b"closed")


async def test_small_writes_wait_for_the_end_of_the_turn_and_large_ones_do_not() -> None:
    log: list[bytes] = []
    outbox = Outbox(range(2))
    first, second = (HeldTransport(Sent(log), outbox) for _ in range(2))  # type: ignore[arg-type]

    first.write(b"1")
    second.write(b"2")
    first.write(b"3")
    assert log == []
    await asyncio.sleep(0)
    assert log == [b"13", b"2"]

    second.write(b"4")
    second.write(b"5" * LARGE)
    assert log[2:] == [b"4", b"5" * LARGE]

    first.write(b"6")
    first.close()
    assert log[4:] == [b"6", b"closed"]
    await asyncio.sleep(0)
    assert len(log) == 6


async def test_a_single_connection_does_not_wait() -> None:
    log: list[bytes] = []
    HeldTransport(Sent(log), Outbox(range(1))).write(b"1")  # type: ignore[arg-type]
    assert log == [b"1"]


async def test_no_more_than_some_connections_wait_for_each_other() -> None:
    log: list[bytes] = []
    outbox = Outbox(range(100))
    for _ in range(40):
        HeldTransport(Sent(log), outbox).write(b"1")  # type: ignore[arg-type]
    assert len(log) == 32
    await asyncio.sleep(0)
    assert len(log) == 40
