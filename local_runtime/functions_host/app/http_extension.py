"""The FastAPI extension of an app that streams over HTTP, reached within this process.

Microsoft's worker library starts a web server of its own for such an app, to which the real host
forwards requests. Here both are one process, so the server's application is called directly: no
second port, no second server, and streams end when their client does.
"""

import contextlib
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from azure_functions_runtime.http_v2 import http_coordinator

if TYPE_CHECKING:
    from starlette.types import ASGIApp

INVOCATION_ID_HEADER = b"x-ms-invocation-id"

_EXTENSION = "azurefunctions.extensions.base"


class WebServer:
    """Stands in for the extension's server, which the worker library makes and starts."""

    application: "ASGIApp | None" = None

    def __init__(self, hostname: str, port: int, web_app: Any) -> None:
        application = web_app.get_app()
        router = application.router
        # Of FastAPI's routes only the one for functions: its documentation would hide some.
        router.routes[:] = [route for route in router.routes if route.include_in_schema]
        WebServer.application = application

    async def serve(self) -> None:
        """Do nothing: no port is listened on."""


def stand_in() -> None:
    """Take the place of the server of the extension that the app has imported, if it has."""
    base = cast("Any", sys.modules.get(_EXTENSION))
    name = base.ModuleTrackerMeta.get_module() if base is not None else None
    if name is not None:
        cast("Any", import_module(name)).WebServer = WebServer


def streaming_application() -> "ASGIApp | None":
    """Return what answers the requests of an app that streams; None for any other app.

    It takes requests that carry the header x-ms-invocation-id, and passes each on to the invocation
    of that id.
    """
    return WebServer.application


def was_asked(invocation_id: str) -> bool:
    """Return whether the request of an invocation has come as far as to its function."""
    references: dict[str, Any] = getattr(http_coordinator, "_context_references", {})
    reference = references.get(invocation_id)
    return reference is not None and reference.http_request_available_event.is_set()


def fail(invocation_id: str, error: Exception) -> None:
    """Let the request of an invocation fail, of whose end the worker library may not know."""
    # KeyError: it has been answered already.
    with contextlib.suppress(KeyError):
        http_coordinator.set_http_response(  # pyright: ignore[reportUnknownMemberType]
            invocation_id, error
        )


def forget(invocation_id: str) -> None:
    """Drop what the worker library would keep of an invocation for ever."""
    references: dict[str, Any] = getattr(http_coordinator, "_context_references", {})
    references.pop(invocation_id, None)
