"""One MCP server, as this process talks to it: one session, opened anew when it broke."""

import asyncio
import io
import logging
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TextIO, cast

import httpx2
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult, PaginatedRequestParams

from durable_agents.sound_text import sound
from durable_agents.tools.context import ToolError
from durable_agents.tools.mcp.lenient import LenientDispatcher, unwrapped

logger = logging.getLogger(__name__)

_MOST_PAGES = 100
_PROBE_SECONDS = 5.0
_LONGEST_WORDS = 2000

type Transport = Callable[[], AbstractAsyncContextManager[Any]]
type Headers = Callable[[], Mapping[str, str] | Awaitable[Mapping[str, str]]]


class ServerUnreachable(Exception):
    """The server does not start, or does not answer; the message says why."""


def child_process(command: Sequence[str], env: Mapping[str, str] | None) -> Transport:
    """Return the way to a server that is a child process, spoken to by its input and output.

    Args:
        command: The program and its arguments.
        env: Variables of its environment, beside PATH and the few others that every one gets.
    """
    given = StdioServerParameters(
        command=command[0], args=list(command[1:]), env=None if env is None else dict(env)
    )
    return lambda: stdio_client(given, errlog=_error_log())


def http_endpoint(url: str, headers: Headers | None) -> Transport:
    """Return the way to a server over streamable HTTP.

    Args:
        url: Where it is.
        headers: Called for each request, async or not.
    """

    async def add(request: httpx2.Request) -> None:
        if headers is not None:
            given = headers()
            request.headers.update(dict(await given if isinstance(given, Awaitable) else given))

    @asynccontextmanager
    async def connected() -> AsyncGenerator[Any]:
        # What a call takes is limited by the call; a stream may be silent for as long.
        timeout = httpx2.Timeout(30, read=None)
        async with (
            httpx2.AsyncClient(timeout=timeout, event_hooks={"request": [add]}) as client,
            streamable_http_client(url, http_client=client) as streams,
        ):
            yield streams

    return connected


@dataclass(frozen=True)
class _Open:
    session: ClientSession
    dispatcher: LenientDispatcher
    task: asyncio.Task[None]
    closing: asyncio.Event

    @property
    def is_usable(self) -> bool:
        return not (self.task.done() or self.dispatcher.ended.is_set() or self.closing.is_set())


class McpServer:
    """A server. Its methods run on the loop of `background`.

    Args:
        name: What people call it.
        transport: The way to it.
        startup_timeout: How many seconds it may take until it can be spoken to.
    """

    def __init__(self, name: str, transport: Transport, startup_timeout: float) -> None:
        self.name = name
        self._transport = transport
        self._startup_timeout = startup_timeout
        self._opening = asyncio.Lock()
        self._open: _Open | None = None
        self._probing: asyncio.Task[None] | None = None

    async def tools(self) -> list[dict[str, Any]]:
        """Return the server's tools as it describes them, the malformed ones too.

        Raises:
            ServerUnreachable: It does not start, or does not list them in time.
        """
        opened = await self._opened()
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        try:
            async with asyncio.timeout(self._startup_timeout):
                for _ in range(_MOST_PAGES):
                    page = PaginatedRequestParams(cursor=cursor)
                    result = await opened.session.list_tools(params=page)
                    found += opened.dispatcher.listed
                    cursor = result.next_cursor
                    if cursor is None:
                        break
        except TimeoutError:
            await self.close()
            raise ServerUnreachable(
                f"it did not list its tools within {self._startup_timeout:g} s"
            ) from None
        except Exception as error:
            await self.close()
            raise ServerUnreachable(f"it does not list its tools ({_words(error)})") from error
        return found

    async def call(self, tool: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Call a tool, once, and return what the server answers.

        Args:
            tool: The tool's name, as the server knows it.
            arguments: Its arguments.
            timeout: How many seconds the answer may take.

        Raises:
            ToolError: There is no answer; the words are for the model.
        """
        try:
            opened = await self._opened()
        except ServerUnreachable as error:
            logger.warning("the MCP server '%s' cannot be reached: %s", self.name, error)
            raise ToolError(
                f"the server {self.name} cannot be reached; the tool was not called", retriable=True
            ) from None
        request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
        try:
            async with asyncio.timeout(timeout):
                result = await opened.session.send_request(request, CallToolResult)
        except TimeoutError:
            self._probing = asyncio.create_task(self._close_if_dead(opened))
            raise ToolError(
                f"no result within {timeout:g} s; what it did until then may be done"
            ) from None
        except Exception as error:
            raise await self._failure(opened, error) from error
        block = result.content[0]
        assert block.type == "text"
        return unwrapped(block.text)

    async def close(self) -> None:
        """End the session, and the server's process if it is a child of this one."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.closing.set()
            await asyncio.gather(opened.task, return_exceptions=True)

    async def _failure(self, opened: _Open, error: Exception) -> ToolError:
        if isinstance(error, MCPError) and not await self._is_broken(opened, error):
            # The protocol's own errors are for who calls: an unknown tool, wrong arguments.
            words = sound(" ".join(error.message.split()))[:_LONGEST_WORDS]
            return ToolError(words or "the server refused the call")
        await self._close(opened)
        logger.warning("the MCP server '%s' broke off a call (%s)", self.name, _words(error))
        return ToolError(
            f"the server {self.name} broke off the call; what it did until then may be done",
            retriable=True,
        )

    async def _is_broken(self, opened: _Open, error: MCPError) -> bool:
        # A child's end is seen by the reader of its output, a moment after its last answer.
        if opened.is_usable and error.code in (-32000, -32603, -32600):
            return not await self._answers(opened)
        return not opened.is_usable

    async def _close_if_dead(self, opened: _Open) -> None:
        if not await self._answers(opened):
            logger.warning("the MCP server '%s' hangs, and is started anew", self.name)
            await self._close(opened)

    async def _answers(self, opened: _Open) -> bool:
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await opened.session.list_tools()
        except Exception:
            return False
        return opened.is_usable

    async def _close(self, opened: _Open) -> None:
        if self._open is opened:
            await self.close()

    async def _opened(self) -> _Open:
        async with self._opening:
            if self._open is not None and not self._open.is_usable:
                await self.close()
            if self._open is None:
                self._open = await self._new()
            return self._open

    async def _new(self) -> _Open:
        """Open a session. It is held by a task of its own, which opens and closes it.

        Raises:
            ServerUnreachable: It does not come about in time.
        """
        ready: asyncio.Future[tuple[ClientSession, LenientDispatcher]]
        ready = asyncio.get_running_loop().create_future()
        closing = asyncio.Event()
        task = asyncio.create_task(self._hold(ready, closing), name=f"mcp {self.name}")
        try:
            async with asyncio.timeout(self._startup_timeout):
                await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            task.cancel()
            await asyncio.wait([task])
            raise ServerUnreachable(
                f"it did not answer within {self._startup_timeout:g} s"
            ) from None
        except asyncio.CancelledError:
            task.cancel()
            raise
        if ready.done():
            session, dispatcher = ready.result()
            return _Open(session, dispatcher, task, closing)
        error = task.exception()
        raise ServerUnreachable(_words(error) if error else "it ended at once") from error

    async def _hold(
        self,
        ready: asyncio.Future[tuple[ClientSession, LenientDispatcher]],
        closing: asyncio.Event,
    ) -> None:
        async with self._transport() as (read_stream, write_stream):
            dispatcher = LenientDispatcher(read_stream, write_stream)
            async with ClientSession(dispatcher=dispatcher) as session:
                await _negotiate(session)
                ready.set_result((session, dispatcher))
                ends = [asyncio.create_task(one.wait()) for one in (closing, dispatcher.ended)]
                try:
                    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for end in ends:
                        end.cancel()


async def _negotiate(session: ClientSession) -> None:
    """Agree on a version of the protocol: by the handshake, or as servers do that have none."""
    try:
        await session.initialize()
    except MCPError as refused:
        try:
            await session.discover()
        except (MCPError, RuntimeError):
            raise refused from None


def _words(error: BaseException) -> str:
    """Return what went wrong in one line. Addresses and headers are not in it."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    if isinstance(error, MCPError):
        return " ".join(error.message.split())[:_LONGEST_WORDS]
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return type(error).__name__


def _error_log() -> TextIO:
    """Return where a child's own log goes: where this process's goes, if that is a file."""
    try:
        sys.stderr.fileno()
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        return open(os.devnull, "w")
    return sys.stderr
