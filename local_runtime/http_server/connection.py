"""One connection of an HTTP server: uvicorn's, with limits on what a client sends and how slowly.

uvicorn leaves such limits to a proxy in front of it; here is none. They are those that Kestrel, the
server of the real Functions host, has by default.
"""

import asyncio
import logging
import re
from typing import cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from local_runtime.http_server.outbox import HeldTransport, Outbox
from local_runtime.http_server.unchunked import Unchunked

MAX_HEADERS = 100
MAX_HEADERS_BYTES = 32 * 1024
MAX_TARGET_BYTES = 8 * 1024
HEAD_SECONDS = 30.0
"""How long a request's line and headers may take."""
IDLE_SECONDS = 130.0
"""How long a connection is kept for a next request."""
BODY_GRACE_SECONDS = 5.0
BODY_BYTES_PER_SECOND = 240
"""How fast a body must come, on the average, once the grace is over."""
UNREAD_SECONDS = 30.0
"""How long a client may take nothing of an answer that waits for it."""

# Bounds one header that never ends: only a complete one can be measured.
_MAX_HEAD_READ = 64 * 1024
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")

logger = logging.getLogger("local_runtime.http")


class State(ServerState):
    """What the connections of one server share."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(self.connections)


class Connection(HttpToolsProtocol):
    """Refuses too much with 414 or 431, too slow with 408, and what is no HTTP with 400."""

    _head_since: float | None = None
    """When the head that is being read began; None while none is."""
    _head_read = 0
    _headers_bytes = 0
    _hosts = 0
    _in_body = False
    _body_bytes = 0
    _body_seconds = 0.0
    _unsent = 0
    _unsent_since = 0.0
    _refused_with = 0
    _idle_since = 0.0
    _parsing = False
    _upgrading = False
    _next: tuple[RequestResponseCycle, ASGI3Application] | None = None
    """The request that is begun once all of what came is parsed."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for a request."""
        state = cast("State", self.server_state)
        self._held = HeldTransport(transport, state.outbox)
        super().connection_made(cast("asyncio.Transport", self._held))
        self._head_since = self.loop.time()

    def eof_received(self) -> None:
        """Send what there is: the transport closes by itself after this."""
        self._held.flush()

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._refused_with:
            return
        all_in_head = self._head_since is not None
        if not (all_in_head or self._in_body):
            self._head_since = self.loop.time()
        self._parsing = True
        self._parse(data)
        self._parsing = False
        self._start()
        if all_in_head and self._head_since is not None and not self._refused_with:
            self._head_read += len(data)
            if self._head_read > _MAX_HEAD_READ:
                self.refuse(431)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.refuse(self._refused_with or 400)

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Read a request again, with its body, whose wish for another protocol is not granted."""
        target = bytes(self.url)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        head: list[bytes] = [self.parser.get_method(), b" ", target, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        self._upgrading = False
        self.parser = httptools.HttpRequestParser(self)
        self._parse(b"".join([*head, b"\r\n", rest]))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if cycle.scope["http_version"] == "1.0":
            app = Unchunked(app, cycle)
        if self._parsing and self._next is None:
            self._next = cycle, app
        else:
            super()._start_asgi_task(cycle, app)

    def _start(self) -> None:
        """Begin to answer a request right here, with as much of its body as has come.

        Most answers take no more than that, and then cost the event loop no turn.
        """
        if self._next is None:
            return
        (cycle, app), self._next = self._next, None
        task = asyncio.Task(cycle.run_asgi(app), loop=self.loop, eager_start=True)
        if not task.done():
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """Go on with the next request, or begin to wait for it."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        if self._head_since is None:
            self._head_since = self.loop.time()
        self._head_read = self._headers_bytes = self._hosts = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self.url += url
        if len(self.url) > MAX_TARGET_BYTES:
            raise self._fault(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers_bytes += len(name) + len(value) + 4
        if self._headers_bytes > MAX_HEADERS_BYTES or len(self.headers) >= MAX_HEADERS:
            raise self._fault(431)
        # A trailer. It must not pass for a header: whoever asks has been judged by those.
        if self._in_body:
            return
        name = name.lower()
        if name == b"host":
            self._hosts += 1
            if _HOST.fullmatch(value) is None:
                raise self._fault(400)
        elif name == b"expect" and value.lower() == b"100-continue":
            # A client of HTTP/1.0 would take the 100 for its answer.
            self.expect_100_continue = self.parser.get_http_version() != "1.0"
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin to answer, and to read the body."""
        # Only HTTP/1.0 knows requests without one.
        if self._hosts != 1 and (self._hosts or self.parser.get_http_version() != "1.0"):
            raise self._fault(400)
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise self._fault(400)
            self._upgrading = True
            return
        super().on_headers_complete()
        self._head_since = None
        self._in_body = True
        self._body_bytes, self._body_seconds = 0, 0.0

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if self._upgrading:
            return
        self._in_body = False
        super().on_message_complete()

    def check(self, now: float, seconds: float) -> None:
        """Break off a client that has become too slow.

        Args:
            now: The event loop's time.
            seconds: How long the last check was ago.
        """
        self._check_unsent(now)
        if not (self._refused_with or self.flow.read_paused or self.transport.is_closing()):
            if self._in_body:
                self._check_body(seconds)
            elif self._head_since is not None:
                if now - self._head_since > HEAD_SECONDS:
                    self.refuse(408)
            elif self._running() is None and now - self._idle_since > IDLE_SECONDS:
                self.transport.close()

    def refuse(self, status: int) -> None:
        """Read no more; answer with an empty reply once it is its turn, and end the connection."""
        self._refused_with = status
        logger.info("a request was refused with %d", status)
        running = self._running()
        if self._in_body:
            unanswered = running is not None and not (running.response_started or self.pipeline)
            self._end_with(status if unanswered else 0)
            if running is not None:
                running.disconnected = True
                running.message_event.set()
        elif running is not None:
            # The requests before are sound: they get their answers first.
            running.keep_alive = False
        else:
            self._end_with(status)

    def _running(self) -> RequestResponseCycle | None:
        """Return the newest request, if it has no whole answer yet."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return None if cycle is None or cycle.response_complete else cycle

    def _end_with(self, status: int) -> None:
        if status:
            self.transport.write(
                STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n"
            )
        self.transport.close()

    def _fault(self, status: int) -> httptools.HttpParserError:
        self._refused_with = status
        return httptools.HttpParserError(f"refused with {status}")

    def _check_body(self, seconds: float) -> None:
        # A client that waits to be asked for its body is not slow.
        if self.cycle.waiting_for_100_continue:
            return
        self._body_seconds += seconds
        if self._body_seconds <= BODY_GRACE_SECONDS:
            return
        # Of a request that has its answer the rest is read only so that the answer is, too.
        if (
            self.cycle.response_complete
            or self._body_bytes < self._body_seconds * BODY_BYTES_PER_SECOND
        ):
            self.refuse(408)

    def _check_unsent(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since > UNREAD_SECONDS:
            self.transport.abort()
