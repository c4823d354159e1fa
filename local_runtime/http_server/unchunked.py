"""Sends an answer of unknown length to a client that does not know chunks."""

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Unchunked:
    """An application whose answers are sent as they are, on a connection that ends with them.

    uvicorn sends those of unknown length in chunks, whatever the client's version.
    """

    def __init__(self, application: ASGI3Application, cycle: RequestResponseCycle) -> None:
        self._application = application
        self._cycle = cycle
        self._is_raw = False

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Answer one request."""

        async def send_raw(message: ASGISendEvent) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                self._is_raw = not any(name.lower() == b"content-length" for name, _ in headers)
                if self._is_raw:
                    self._cycle.chunked_encoding = False
                    # The application may ask for chunks, too.
                    headers = [each for each in headers if each[0].lower() != b"transfer-encoding"]
                    message = {**message, "headers": headers}
            elif message["type"] == "http.response.body" and self._is_raw:
                # To uvicorn every part is all that was announced.
                self._cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await self._application(scope, receive, send_raw)
