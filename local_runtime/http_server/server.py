"""Serves an ASGI application on one port of the loopback interface; for all parts that do."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Generator, Iterable
from typing import cast

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from local_runtime.http_server.accepting import Acceptor
from local_runtime.http_server.connection import Connection, State
from local_runtime.listening import listen as listen

_CHECK_SECONDS = 1.0

logger = logging.getLogger("local_runtime.http")


@contextlib.asynccontextmanager
async def serving(
    application: ASGIApp,
    listener: socket.socket,
    *,
    grace_seconds: int,
    protocol: type[Connection] = Connection,
) -> AsyncGenerator[int]:
    """Serve inside the `async with`, which gets the port; then let requests finish for a while.

    What has not finished after `grace_seconds` is broken off and answered with 503.
    """
    requests = _Requests(application)
    config = uvicorn.Config(
        requests,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # Only for an application that refuses to be cancelled: uvicorn logs this as errors.
        timeout_graceful_shutdown=grace_seconds + 1,
    )
    with contextlib.closing(listener):
        server = _Server(config, protocol)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        checks = asyncio.create_task(_check(server.server_state))
        try:
            await server.begun.wait()
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            limit = asyncio.get_running_loop().call_later(
                grace_seconds, requests.break_off, server.server_state.tasks
            )
            await task
            limit.cancel()
            checks.cancel()


async def _check(state: State) -> None:
    """Break off clients that are too slow, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_CHECK_SECONDS)
        for found in list(state.connections):
            connection = cast("Connection", found)
            try:
                connection.check(loop.time(), _CHECK_SECONDS)
            except Exception:
                # Of this one connection: the others are looked at all the same.
                logger.exception("a connection could not be checked; it is broken off")
                connection.transport.abort()


class _Requests:
    """An application whose running requests can all be broken off."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._broken_off = False

    def break_off(self, running: Iterable[asyncio.Task[None]]) -> None:
        """Answer every running request with 503, and all that still come."""
        self._broken_off = True
        for task in running:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; this is the ASGI application."""
        if not self._broken_off:
            try:
                await self._application(scope, receive, send)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not self._broken_off or task is None:
                    raise
                task.uncancel()
            else:
                return
        stopping = PlainTextResponse("The server is stopping.", 503, {"Connection": "close"})
        # One that has begun its answer cannot begin another.
        with contextlib.suppress(RuntimeError):
            await stopping(scope, receive, send)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process decides when to stop."""

    def __init__(self, config: uvicorn.Config, protocol: type[Connection]) -> None:
        super().__init__(config)
        self._protocol = protocol
        self.server_state = State()
        self.begun = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        def make_protocol() -> asyncio.Protocol:
            return self._protocol(self.config, self.server_state, {})

        try:
            acceptors = [Acceptor(listener, make_protocol) for listener in sockets or ()]
            # Of them uvicorn wants no more than to close them, and to wait.
            self.servers = cast("list[asyncio.Server]", acceptors)
            self.started = True
        finally:
            self.begun.set()
