"""What a client may send to an HTTP server of the runtime, and how slowly; over real sockets."""

import asyncio
import contextlib

import pytest

from local_runtime.http_server import connection
from local_runtime.http_server.server import listen, serving
from local_runtime.http_server.whole_reply import WholeReply

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


class Echo:
    """An application that answers with method, path and body; `gate` holds its answers back."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.called = 0
        self.headers = []

    async def __call__(self, scope, receive, send) -> None:
        self.called += 1
        self.headers = scope["headers"]
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        await self.gate.wait()
        text = scope["method"].encode() + b" " + scope["raw_path"] + b" " + body
        length = (b"content-length", str(len(text)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": text})


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> "Client":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """The status and the body of one answer."""
        async with asyncio.timeout(30):
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(line for line in lines if line.startswith(b"content-length:"))
            return int(lines[0].split()[1]), await self.reader.readexactly(int(length[15:]))

    async def is_closed(self) -> bool:
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionResetError):
                return await self.reader.read() == b""
        return True


@pytest.fixture
async def echo():
    return Echo()


@pytest.fixture
async def port(echo):
    async with serving(echo, listen(0, "--port"), grace_seconds=1) as port:
        yield port


async def asked(port: int, request: bytes) -> int:
    """The status of the only answer to what is sent; the connection must end after a refusal."""
    async with Client(port) as client:
        with contextlib.suppress(ConnectionError):
            await client.send(request)
        status, _ = await client.answer()
        assert status == 200 or await client.is_closed()
        return status


MANY = b"".join(b"x-%d: 1\r\n" % number for number in range(101))


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (HEAD + MANY + b"\r\n", 431),
        (HEAD + b"x: " + b"a" * 33_000 + b"\r\n\r\n", 431),
        (HEAD + b"x: " + b"a" * 300_000, 431),
        (HEAD + b"a" * 300_000, 431),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /" + b"a" * 300_000, 414),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x/../y?z#\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/3.7\r\nHost: x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nbad name: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nx : 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nx: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded: 1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (HEAD + b"Content-Length: +1\r\n\r\na", 400),
        (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nZ\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 200),
        (b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET http://x/a?b HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    ],
)
async def test_request_is_refused_with_the_code_for_its_fault(port, request_bytes, status) -> None:
    assert await asked(port, request_bytes) == status
    assert await asked(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == 200


async def test_what_is_hidden_behind_a_request_is_not_answered_as_one(port, echo) -> None:
    smuggled = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    head = HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"

    assert await asked(port, head + smuggled) == 400
    assert echo.called == 0


async def test_trailer_does_not_become_a_header(port, echo) -> None:
    async with Client(port) as client:
        await client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await client.send(b"0\r\nx-secret: 1\r\nHost: y\r\n\r\n")
        assert await client.answer() == (200, b"POST / a")
    assert b"x-secret" not in dict(echo.headers)


async def test_pipelined_requests_are_answered_in_their_order(port) -> None:
    requests = [b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(500)]
    async with Client(port) as client:
        client.writer.write(b"".join(requests))
        for number in range(500):
            assert await client.answer() == (200, b"GET /%d " % number)


async def test_nonsense_after_a_request_does_not_cost_its_answer(port, echo) -> None:
    echo.gate.clear()
    async with Client(port) as client:
        await client.send(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n" + b"\x00nonsense\r\n\r\n")
        echo.gate.set()
        assert await client.answer() == (200, b"GET /first ")
        assert await client.is_closed()


async def test_body_is_asked_for_when_the_client_waits_for_that(port) -> None:
    async with Client(port) as client:
        await client.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"ab")
        assert await client.answer() == (200, b"POST / ab")


async def test_body_survives_an_upgrade_that_is_not_taken(port) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    async with Client(port) as client:
        await client.send(HEAD + upgrade + b"Content-Length: 2\r\n\r\nab")
        assert await client.answer() == (200, b"POST / ab")


async def test_kept_connection_serves_many_requests(port) -> None:
    async with Client(port) as client:
        for size in (0, 1, 70_000, 0):
            await client.send(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"a" * size)
            assert await client.answer() == (200, b"POST / " + b"a" * size)


@pytest.mark.parametrize("wish", [b"", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n"])
@pytest.mark.parametrize("verb", [b"POST", b"HEAD"])
async def test_http_1_0_connection_ends_with_its_answer(port, verb, wish) -> None:
    whole = await everything(port, verb + b" / HTTP/1.0\r\n" + wish + b"Content-Length: 1\r\n\r\na")

    head, _, body = whole.partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    length = len(verb) + len(b" / a")
    assert status == b"HTTP/1.1 200 OK"
    assert {b"content-length: %d" % length, b"connection: close"} <= set(headers)
    assert body == (b"" if verb == b"HEAD" else b"POST / a")


async def stream(scope, receive, send) -> None:
    """An application that answers in parts, or as its path says."""
    if scope["path"] == "/whole":
        await WholeReply(200, body=b"one two three")(scope, receive, send)
        return
    headers = [(b"transfer-encoding", b"chunked")] if scope["path"] == "/asks-for-chunks" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in (b"one ", b"", b"two "):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    if scope["path"] == "/fails":
        raise LookupError("amid the parts")
    await send({"type": "http.response.body", "body": b"three"})


@pytest.fixture
async def streaming_port():
    async with serving(stream, listen(0, "--port"), grace_seconds=1) as port:
        yield port


@pytest.mark.parametrize(
    ("request_line", "body"),
    [
        (b"GET / HTTP/1.0", b"one two three"),
        (b"GET /asks-for-chunks HTTP/1.0", b"one two three"),
        (b"GET /whole HTTP/1.0", b"one two three"),
        (b"GET /fails HTTP/1.0", b"one two "),
        (b"HEAD / HTTP/1.0", b""),
        (b"GET / HTTP/1.1", b"4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"),
    ],
)
async def test_stream_is_sent_in_chunks_but_not_to_http_1_0(
    streaming_port, request_line, body
) -> None:
    wish = b"close" if request_line.endswith(b"1.1") else b"keep-alive"
    head = request_line + b"\r\nHost: x\r\nConnection: " + wish + b"\r\n\r\n"

    head, _, received = (await everything(streaming_port, head)).partition(b"\r\n\r\n")

    assert received == body
    assert b"connection: close" in head
    assert (b"transfer-encoding" in head) == request_line.endswith(b"1.1")


async def everything(port: int, request: bytes) -> bytes:
    """All that comes until the connection is closed."""
    async with Client(port) as client, asyncio.timeout(30):
        await client.send(request)
        return await client.reader.read()


@pytest.fixture
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connection, "BODY_GRACE_SECONDS", 0.5)
    monkeypatch.setattr(connection, "UNREAD_SECONDS", 0.5)
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.5)


@pytest.mark.parametrize(
    "beginning",
    [b"", b"\r\n", b"GET / HT", HEAD, HEAD + b"x: 1", HEAD + b"Content-Length: 9\r\n\r\nab",
     HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"],
)  # fmt: skip
async def test_request_that_never_ends_is_ended(port, impatient, beginning) -> None:
    assert await asked(port, beginning) == 408


async def test_connection_without_a_next_request_is_ended(port, impatient) -> None:
    async with Client(port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await client.answer() == (200, b"GET / ")
        assert await client.is_closed()


async def test_slow_answer_is_not_the_clients_fault(port, impatient, echo) -> None:
    echo.gate.clear()
    async with Client(port) as slow, Client(port) as other:
        await slow.send(HEAD + b"Content-Length: 1\r\n\r\na")
        await other.send(b"GET / HT")
        assert (await other.answer())[0] == 408  # the time for a request is over
        echo.gate.set()
        assert await slow.answer() == (200, b"POST / a")


async def test_client_that_does_not_read_is_cut_off(port, impatient) -> None:
    size = 8_000_000
    async with Client(port) as client:
        client.writer.transport.pause_reading()
        client.writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"a" * size)
        with pytest.raises(ConnectionError):
            await send_until_it_fails(client)


async def send_until_it_fails(client: Client) -> None:
    async with asyncio.timeout(30):
        while True:
            await client.send(b"\r\n")
            await asyncio.sleep(0.05)


async def test_slow_clients_do_not_hold_up_others(port) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(300):
            client = await stack.enter_async_context(Client(port))
            await client.send(HEAD + b"x: ")
        for _ in range(300):
            client = await stack.enter_async_context(Client(port))
            await client.send(HEAD + b"Content-Length: 100\r\n\r\na")

        assert await asked(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == 200
