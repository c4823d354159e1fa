"""How replies go out: after their time, piece by piece, and to nobody who has gone."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

logger = logging.getLogger("local_runtime.model")


@dataclass
class Counts:
    """What became of the requests that ask the model."""

    received: int = 0
    answered: int = 0
    broken_off: int = 0
    """Those whose client went before it had the whole answer."""
    cancelled: int = 0
    """Responses in the background that were cancelled."""

    def to_dict(self) -> dict[str, int]:
        """Return them as JSON has them."""
        return asdict(self)


class ClientGone(Exception):
    """The client has closed its connection; nobody waits for the answer."""


async def pause(request: Request, seconds: float) -> None:
    """Wait for `seconds`, as long as the client does. The request's body has been read.

    Raises:
        ClientGone: It does not any more.
    """
    if seconds and await _gone_within(request.receive, seconds):
        raise ClientGone


class Drip(Response):
    """A stream of events with a wait before each; it ends when the client goes."""

    media_type = "text/event-stream"

    def __init__(self, pieces: Iterable[bytes], seconds: float, counts: Counts) -> None:
        super().__init__(headers={"Cache-Control": "no-cache"})
        del self.headers["content-length"]
        self._pieces = pieces
        self._seconds = seconds
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        for piece in self._pieces:
            if await _gone_within(receive, self._seconds):
                self._counts.broken_off += 1
                logger.info("a client went before the end of its stream")
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        self._counts.answered += 1


async def _gone_within(receive: Receive, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            # The body has been read: what comes next is the end of the connection.
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True
