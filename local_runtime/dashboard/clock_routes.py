"""GET /clock tells the scheduler's time; POST /clock/advance moves it, if it is a virtual one."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_MAX_BODY = 1000


class MovableTime(Protocol):
    """A clock that moves when it is told to."""

    def now(self) -> datetime:
        """Return the moment it stands at."""
        ...

    async def advance(self, to: datetime) -> bool:
        """Move it; False when it had to stop on the way."""
        ...


class _WrongRequest(Exception):
    """The request makes no sense; the message says why."""


def clock_routes(now: Callable[[], datetime], movable: MovableTime | None) -> list[Route]:
    """Return the routes; `movable` is None where time goes by itself."""

    async def show(request: Request) -> Response:
        return JSONResponse({"now": _text(now()), "virtual": movable is not None})

    async def advance(request: Request) -> Response:
        if movable is None:
            return _error(409, "The time is the machine's own; start with --virtual-time to move.")
        # A form of somebody else's web page cannot send this type.
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _error(415, "The body must be JSON, with Content-Type: application/json.")
        try:
            to = _target(await _body(request), movable.now())
        except _WrongRequest as error:
            return _error(400, str(error))
        complete = await movable.advance(to)
        return JSONResponse({"now": _text(movable.now()), "complete": complete})

    return [
        Route("/clock", show, methods=["GET"]),
        Route("/clock/advance", advance, methods=["POST"]),
    ]


async def _body(request: Request) -> dict[str, Any]:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MAX_BODY:
            raise _WrongRequest(f"The body has more than {_MAX_BODY} bytes.")
    try:
        document: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _WrongRequest("The body is not valid JSON.") from error
    if not isinstance(document, dict) or len(cast("dict[str, Any]", document)) != 1:
        raise _WrongRequest('The body must be {"seconds": NUMBER} or {"to": "TIME"}.')
    return cast("dict[str, Any]", document)


def _target(document: dict[str, Any], now: datetime) -> datetime:
    match document:
        case {"seconds": int() | float() as seconds} if not isinstance(seconds, bool):
            if not math.isfinite(seconds) or seconds < 0:
                raise _WrongRequest("The seconds must be a number from 0 up.")
            try:
                return now + timedelta(seconds=seconds)
            except OverflowError as error:
                raise _WrongRequest("That is beyond the year 9999.") from error
        case {"to": str() as text}:
            try:
                to = datetime.fromisoformat(text)
                to = to.replace(tzinfo=to.tzinfo or UTC).astimezone(UTC)
            except (ValueError, OverflowError) as error:
                raise _WrongRequest(
                    "The time must be like 2030-01-31T12:00:00Z, in the years 1 to 9999."
                ) from error
            if to < now:
                raise _WrongRequest(f"Time does not run backwards: it is {_text(now)}.")
            return to
        case _:
            raise _WrongRequest('The body must be {"seconds": NUMBER} or {"to": "TIME"}.')


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)
