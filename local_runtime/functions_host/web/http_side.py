"""The HTTP side of a host process: its port, and from when until when requests are taken there."""

import asyncio
import contextlib
import socket

from local_runtime.functions_host.web.front_door import FrontDoor, Gate
from local_runtime.http_server.server import serving
from local_runtime.listening import adopt, listen, port_of

_REQUEST_GRACE_SECONDS = 3


class HttpSide:
    """The port, which may belong to whoever started this process.

    On a port of its own, requests are answered at once, with 503 until `open`. On another's, they
    wait: they are another process's to answer, or soon will be this one's.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.port = port_of(listener)
        self._listener = listener
        self._gate = Gate()
        self._serving = contextlib.AsyncExitStack()
        self._begun = False

    @classmethod
    async def create(cls, port: int, descriptor: int | None) -> "HttpSide":
        """Take a port, or take over the listening socket with the number `descriptor`.

        Raises:
            StartupError: The port is in use, or may not be used.
        """
        if descriptor is not None:
            return cls(adopt(descriptor))
        side = cls(listen(port, "--port"))
        await side.begin()
        return side

    async def begin(self) -> None:
        """Answer requests from now on."""
        if not self._begun:
            self._begun = True
            await self._serving.enter_async_context(
                serving(self._gate, self._listener, grace_seconds=_REQUEST_GRACE_SECONDS)
            )

    async def open(self, front_door: FrontDoor) -> None:
        """Answer requests, and let them through."""
        self._gate.open(front_door)
        await self.begin()

    def accept_no_more(self) -> None:
        """Leave new connections to another process; answer what comes on those that are there."""
        if self._begun:
            # The server itself can only stop as a whole.
            asyncio.get_running_loop().remove_reader(self._listener)

    async def close(self) -> None:
        """Take no more requests, and let those that run finish for a while."""
        await self._serving.aclose()
        self._listener.close()
