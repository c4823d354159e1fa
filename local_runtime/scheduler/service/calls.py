"""What one gRPC call knows: its task hub; and how errors become status codes."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc.aio
from google.protobuf.message import DecodeError, Message

from local_runtime.errors import StartupError
from local_runtime.scheduler.engine.decision import InvalidResponse
from local_runtime.scheduler.engine.limits import InvalidValue
from local_runtime.scheduler.service.hub import Hub
from local_runtime.scheduler.service.hubs import DEFAULT_HUB, Hubs, InvalidHubName
from local_runtime.scheduler.storage.controls import InstanceNotFound, NotInThatState
from local_runtime.scheduler.storage.instances import InstanceExists
from local_runtime.scheduler.storage.writer import StorageUnavailable

type Context = grpc.aio.ServicerContext[Any, Any]


_MAX_DETAILS = 2000  # bytes of an error's message


class InvalidRequest(Exception):
    """The caller's request makes no sense; the message says which part."""


_CODES: dict[type[Exception], grpc.StatusCode] = {
    InstanceNotFound: grpc.StatusCode.NOT_FOUND,
    InstanceExists: grpc.StatusCode.ALREADY_EXISTS,
    NotInThatState: grpc.StatusCode.FAILED_PRECONDITION,
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    InvalidResponse: grpc.StatusCode.INVALID_ARGUMENT,
    InvalidValue: grpc.StatusCode.INVALID_ARGUMENT,
    InvalidHubName: grpc.StatusCode.INVALID_ARGUMENT,
    StorageUnavailable: grpc.StatusCode.UNAVAILABLE,
    StartupError: grpc.StatusCode.UNAVAILABLE,
}


def _hub_name(context: Context) -> str:
    """Return the name of the task hub that a call's metadata gives."""
    for key, value in context.invocation_metadata() or ():
        if key == "taskhub":
            return value if isinstance(value, str) else value.decode("latin-1")
    return DEFAULT_HUB


async def refuse(context: Context, error: Exception) -> NoReturn:
    """End a call with the status code that says whose fault it is; unknown errors are raised."""
    if isinstance(error, sqlite3.Error):
        await context.abort(
            grpc.StatusCode.UNAVAILABLE, f"the task hub's file could not be read: {error}"
        )
    code = _CODES.get(type(error))
    if code is None:
        raise error
    # It travels as a header, percent-encoded: a longer one would be refused in its turn.
    await context.abort(code, str(error).encode()[:_MAX_DETAILS].decode(errors="ignore"))
    raise AssertionError("abort always raises")


def _parsed[Request: Message](data: bytes, kind: type[Request]) -> Request:
    """Read a request here, and not in gRPC, which would report bytes that are none as a crash."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise InvalidRequest(f"the request's bytes are not a {kind.DESCRIPTOR.name}") from error


def unary[Request: Message, Response: Message](
    hubs: Hubs, handle: Callable[[Hub, Request], Awaitable[Response]], kind: type[Request]
) -> Callable[[bytes, Context], Awaitable[Response]]:
    """Make a gRPC handler of a function that works on one hub."""

    async def call(data: bytes, context: Context) -> Response:
        try:
            request = _parsed(data, kind)
            hub = await hubs.use(_hub_name(context))
            hub.sizes.look_at_request(request, len(data))
            return await handle(hub, request)
        except Exception as error:
            await refuse(context, error)

    return call


def hub_unary[Request: Message, Response: Message](
    hubs: Hubs, handle: Callable[[Hubs, str, Request], Awaitable[Response]], kind: type[Request]
) -> Callable[[bytes, Context], Awaitable[Response]]:
    """Make a gRPC handler of a function that works on the hubs themselves, and on one by name."""

    async def call(data: bytes, context: Context) -> Response:
        try:
            return await handle(hubs, _hub_name(context), _parsed(data, kind))
        except Exception as error:
            await refuse(context, error)

    return call


def streaming[Request: Message](
    hubs: Hubs,
    handle: Callable[[Hub, Request, Callable[[Any], Awaitable[None]]], Awaitable[None]],
    kind: type[Request],
) -> Callable[[bytes, Context], Awaitable[None]]:
    """Make a gRPC handler of a function that writes a stream of answers from one hub."""

    async def call(data: bytes, context: Context) -> None:
        try:
            request = _parsed(data, kind)
            await handle(await hubs.use(_hub_name(context)), request, context.write)
        except grpc.aio.InternalError:
            # The client went away just as something was written to it: nobody is there to answer.
            raise asyncio.CancelledError from None
        except Exception as error:
            await refuse(context, error)

    return call
