"""What one gRPC call knows: its task hub; and how errors become status codes."""

import sqlite3
from collections.abc import Awaitable, Callable

import grpc
from google.protobuf.message import DecodeError, Message

from local_runtime.errors import StartupError
from local_runtime.scheduler.engine.decision import InvalidResponse
from local_runtime.scheduler.engine.limits import InvalidValue
from local_runtime.scheduler.service.hub import Hub
from local_runtime.scheduler.service.hubs import DEFAULT_HUB, Hubs, InvalidHubName
from local_runtime.scheduler.storage.controls import InstanceNotFound, NotInThatState
from local_runtime.scheduler.storage.damage import DamagedRow
from local_runtime.scheduler.storage.instances import InstanceExists
from local_runtime.scheduler.storage.writer import StorageUnavailable
from local_runtime.scheduler.transport.rpc_server import Answer, Call

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
    DamagedRow: grpc.StatusCode.DATA_LOSS,
    StorageUnavailable: grpc.StatusCode.UNAVAILABLE,
    StartupError: grpc.StatusCode.UNAVAILABLE,
}


def _hub_name(call: Call) -> str | None:
    """Return the name of the task hub that a call's metadata gives."""
    for key, value in call.metadata:
        if key == "taskhub":
            return value if isinstance(value, str) else value.decode("latin-1")
    return None


def default_hub(hubs: Hubs, request: Message) -> str:
    """Return the name of the hub that a call means which names none."""
    return DEFAULT_HUB


def _refuse(call: Call, error: Exception) -> None:
    """End a call with the status code that says whose fault it is; unknown errors are raised."""
    if isinstance(error, sqlite3.Error):
        call.end(grpc.StatusCode.UNAVAILABLE, f"the task hub's file could not be read: {error}")
        return
    code = _CODES.get(type(error))
    if code is None:
        raise error
    # It travels as a header, percent-encoded: a longer one would be refused in its turn.
    call.end(code, str(error).encode()[:_MAX_DETAILS].decode(errors="ignore"))


def _parsed[Request: Message](data: bytes, kind: type[Request]) -> Request:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise InvalidRequest(f"the request's bytes are not a {kind.DESCRIPTOR.name}") from error


def unary[Request: Message, Response: Message](
    hubs: Hubs, handle: Callable[[Hub, Request], Awaitable[Response]], kind: type[Request]
) -> Answer:
    """Make the answer to a call of a function that works on one hub."""

    async def answer(call: Call, data: bytes) -> None:
        try:
            request = _parsed(data, kind)
            hub = await hubs.use(_hub_name(call) or DEFAULT_HUB)
            hub.sizes.look_at_request(request, len(data))
            response = await handle(hub, request)
        except Exception as error:
            _refuse(call, error)
        else:
            call.reply(response.SerializeToString())

    return answer


def hub_unary[Request: Message, Response: Message](
    hubs: Hubs, handle: Callable[[Hubs, str, Request], Awaitable[Response]], kind: type[Request]
) -> Answer:
    """Make the answer of a function that works on the hubs themselves, and on one by name."""

    async def answer(call: Call, data: bytes) -> None:
        try:
            response = await handle(hubs, _hub_name(call) or DEFAULT_HUB, _parsed(data, kind))
        except Exception as error:
            _refuse(call, error)
        else:
            call.reply(response.SerializeToString())

    return answer


def streaming[Request: Message](
    hubs: Hubs,
    handle: Callable[[Hub, Request, Call], Awaitable[None]],
    kind: type[Request],
    unnamed: Callable[[Hubs, Request], str],
) -> Answer:
    """Make the answer of a function that sends a stream of messages from one hub.

    `unnamed` says which hub is meant by a call that names none.
    """

    async def answer(call: Call, data: bytes) -> None:
        try:
            request = _parsed(data, kind)
            hub = await hubs.use(_hub_name(call) or unnamed(hubs, request))
            await handle(hub, request, call)
        except Exception as error:
            _refuse(call, error)

    return answer
