"""Reads an HTTP request: its path as it was sent, and its body up to the host's limit."""

from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope


class BodyTooLarge(Exception):
    """The request's body is larger than the host takes."""


def limited(scope: Scope, receive: Receive, max_bytes: int) -> Receive:
    """Return a `receive` that ends with an error as soon as a body is too large.

    Raises:
        BodyTooLarge: It is too large by what it announces. Later, by what has come.
    """
    for name, value in scope["headers"]:
        if name == b"content-length":
            if int(value) > max_bytes:
                raise BodyTooLarge
            # The server sees to it that no more comes than is announced.
            return receive
    left = max_bytes

    async def receive_some() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise BodyTooLarge
        return message

    return receive_some


async def read_body(request: Request) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLarge: It is too large.
        ClientDisconnect: The client went away before its body was complete.
    """
    receive = request.receive
    first = await receive()
    parts = [_body(first)]
    more = first.get("more_body", False)
    while more:
        message = await receive()
        parts.append(_body(message))
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _body(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b"")


def raw_path(request: Request) -> str:
    """Return the path as the client sent it, still percent-encoded, without the query."""
    raw: bytes = request.scope.get("raw_path") or quote(request.url.path).encode()
    return raw.decode("latin-1").partition("?")[0]
