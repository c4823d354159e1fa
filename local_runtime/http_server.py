"""Serves an ASGI application on one port of the loopback interface; for all parts that do."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from local_runtime.listening import listen as listen


@contextlib.asynccontextmanager
async def serving(
    application: ASGIApp,
    listener: socket.socket,
    *,
    grace_seconds: int,
    protocol: type[H11Protocol] = H11Protocol,
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
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await server.begun.wait()
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            limit = asyncio.get_running_loop().call_later(grace_seconds, requests.break_off)
            await task
            limit.cancel()


class _Requests:
    """An application whose running requests can all be broken off."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._running: set[asyncio.Task[object]] = set()
        self._broken_off = False

    def break_off(self) -> None:
        """Answer every running request with 503, and all that still come."""
        self._broken_off = True
        for task in self._running:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; this is the ASGI application."""
        begun = False

        async def note_begin(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        if not self._broken_off and await self._finish(scope, receive, note_begin):
            return
        if not begun:
            stopping = PlainTextResponse("The server is stopping.", 503, {"Connection": "close"})
            await stopping(scope, receive, send)

    async def _finish(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Run the application; False if the request was broken off."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await self._application(scope, receive, send)
        except asyncio.CancelledError:
            if not self._broken_off:
                raise
            task.uncancel()
            return False
        finally:
            self._running.discard(task)
        return True


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
