"""Accepts an HTTP server's connections, and pauses while there is no room for more.

asyncio's own servers try a failing accept again at once, as often as connections may wait, and log
a traceback each time.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

from local_runtime import descriptors

_PAUSE_SECONDS = 0.5
_BACKLOG = 2048  # connections that may wait to be accepted, as with uvicorn's own servers
_AT_ONCE = 128  # connections before the loop's other work gets its turn
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

logger = logging.getLogger("local_runtime.http")


class Acceptor:
    """Makes a protocol for each connection that comes to a listening socket, until `close`."""

    def __init__(
        self, listener: socket.socket, make_protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._closed = False
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Accept no more; the socket stays open."""
        if self._closed:
            return
        self._closed = True
        if self._pause is None:
            self._loop.remove_reader(self._listener)
        else:
            self._pause.cancel()

    async def wait_closed(self) -> None:
        """Wait for the connections that have been accepted and not begun."""
        if self._beginning:
            await asyncio.wait(self._beginning)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                self._wait(error)
                return
            task = self._loop.create_task(self._begin(connection))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError as error:
            connection.close()
            logger.debug("a connection was lost before it was served: %s", error)

    def _wait(self, error: OSError) -> None:
        """Accept nothing for a moment: those who are connected are served, the others wait."""
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(_PAUSE_SECONDS, self._go_on)
        descriptors.tell(error)

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)
