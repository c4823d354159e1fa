"""Reads an HTTP request: its path as it was sent, and its body up to the host's limit."""

from urllib.parse import quote

from starlette.requests import Request

MAX_BODY_BYTES = 100 * 1024 * 1024


class BodyTooLarge(Exception):
    """The request's body is larger than MAX_BODY_BYTES."""


async def read_body(request: Request) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLarge: It is too large, by what it announces or by what has come.
    """
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        raise BodyTooLarge
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge
        parts.append(part)
    return b"".join(parts)


def raw_path(request: Request) -> str:
    """Return the path as the client sent it, still percent-encoded, without the query."""
    raw: bytes = request.scope.get("raw_path") or quote(request.url.path).encode()
    return raw.decode("latin-1").partition("?")[0]
