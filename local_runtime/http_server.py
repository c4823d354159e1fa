"""Serves an ASGI application on one port of the loopback interface; for all parts that do."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncGenerator, Generator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from local_runtime.errors import StartupError

_LOOPBACK = "127.0.0.1"


def listen(port: int, option: str) -> socket.socket:
    """Take a port, 0 for a free one, and listen on it.

    Args:
        port: The port's number.
        option: The command line option that chooses another port, for the message.

    Raises:
        StartupError: The port is in use, or may not be used.
    """
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is: without,
    # each answer on a kept connection would come 40 ms late.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # Without this a restart would find the port taken by its own closed connections.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_LOOPBACK, port))
        # Two may have bound one port with SO_REUSEADDR: only listening makes it ours.
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise StartupError(
                f"port {port} on {_LOOPBACK} is in use by another program. "
                f"Stop that program, or choose another port with {option}."
            ) from error
        raise StartupError(
            f"cannot listen on port {port} of {_LOOPBACK}: {error.strerror}. "
            f"Choose another port with {option}."
        ) from error
    return listener


@contextlib.asynccontextmanager
async def serving(
    application: ASGIApp,
    listener: socket.socket,
    *,
    grace_seconds: int,
    protocol: type[H11Protocol] = H11Protocol,
) -> AsyncGenerator[int]:
    """Serve inside the `async with`, which gets the port; then let requests finish for a while."""
    config = uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=grace_seconds,
    )
    with contextlib.closing(listener):
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await server.begun.wait()
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await task


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process decides when to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.begun.set()
