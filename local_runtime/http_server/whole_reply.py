"""Sends an answer that is known as a whole in one piece."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
# Of a larger one, a copy would cost more than it saves.
_MAX_JOINED = 16 * 1024


class WholeReply:
    """An answer with its body; an ASGI application.

    Where `send` is uvicorn's own, the answer is written at once instead of in two messages, which
    are looked through twice: a fifth of the time that an answer of a few bytes takes.
    """

    def __init__(
        self, status_code: int, headers: Sequence[tuple[bytes, bytes]] = (), body: bytes = b""
    ) -> None:
        """Take an answer; its headers must be sound, and say nothing of length and connection."""
        self.status_code = status_code
        self._headers = list(headers)
        self._body = b"" if status_code in _BODILESS else body
        if status_code not in _BODILESS:
            self._headers.append((b"content-length", str(len(self._body)).encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        cycle: object = getattr(send, "__self__", None)
        if (
            isinstance(cycle, RequestResponseCycle)
            and not cycle.response_started
            and not cycle.flow.write_paused
        ):
            if not cycle.disconnected:
                self._write(cycle)
            return
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self._headers,
            }
        )
        await send({"type": "http.response.body", "body": self._body})

    def _write(self, cycle: RequestResponseCycle) -> None:
        parts = [STATUS_LINE[self.status_code]]
        for name, value in cycle.default_headers:
            parts += (name, b": ", value, b"\r\n")
        for name, value in self._headers:
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
        body = b"" if cycle.scope["method"] == "HEAD" else self._body
        if len(body) <= _MAX_JOINED:
            parts.append(body)
            body = b""
        cycle.transport.write(b"".join(parts))
        if body:
            cycle.transport.write(body)
        cycle.waiting_for_100_continue = False
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
