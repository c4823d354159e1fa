"""Finds the handler of a request below /admin."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from local_runtime.background import TaskReport
from local_runtime.clock import SystemClock
from local_runtime.functions_host.admin.admin_call import AdminCall, not_found
from local_runtime.functions_host.admin.function_routes import FunctionRoutes
from local_runtime.functions_host.admin.hand_runs import HandRuns
from local_runtime.functions_host.admin.host_routes import HostRoutes
from local_runtime.functions_host.admin.key_routes import KeyRoutes
from local_runtime.functions_host.app.function_index import FunctionIndex
from local_runtime.functions_host.app.invocation import Invoker
from local_runtime.functions_host.ids import random_id
from local_runtime.functions_host.keys.key_store import KeyStore
from local_runtime.functions_host.keys.protection import Protection
from local_runtime.functions_host.web.path_match import match_path
from local_runtime.functions_host.web.request_parts import raw_path
from local_runtime.settings import AppSettings

type Handler = Callable[[AdminCall], Awaitable[Response]]

_ROOT = "admin"
_PING = ["host", "ping"]


@dataclass(frozen=True)
class _Route:
    verb: str
    path: str
    handler: Handler

    def match(self, verb: str, segments: Sequence[str]) -> dict[str, str] | None:
        """Return the parameters in the path; None if this is not its route."""
        return match_path(self.path, segments) if verb == self.verb else None


class Admin:
    """Answers requests below /admin."""

    def __init__(
        self, protection: Protection, host: HostRoutes, functions: FunctionRoutes, keys: KeyRoutes
    ) -> None:
        self._protection = protection
        self._routes = (
            _Route("GET", "host/status", host.status),
            _Route("GET", "host/ping", host.ping),
            _Route("POST", "host/ping", host.ping),
            _Route("GET", "host/{scope}", keys.list),
            *_of_one_key("host/{scope}/{key}", keys),
            _Route("GET", "functions", functions.list),
            _Route("GET", "functions/{name}", functions.get),
            _Route("POST", "functions/{name}", functions.run),
            _Route("GET", "functions/{name}/status", functions.status),
            _Route("GET", "functions/{name}/keys", keys.list),
            *_of_one_key("functions/{name}/keys/{key}", keys),
        )

    async def answer(self, request: Request) -> Response | None:
        """Answer a request; None if it is not for /admin."""
        root, *segments = (unquote(part) for part in raw_path(request).strip("/").split("/"))
        if root.lower() != _ROOT:
            return None
        # As at the real host, whoever watches over the process may ask whether it lives.
        if [segment.lower() for segment in segments] != _PING:
            refused = self._protection.of_admin(request)
            if refused is not None:
                return refused
        for route in self._routes:
            params = route.match(request.method, segments)
            if params is not None:
                return await route.handler(AdminCall(request, params))
        return not_found()


def admin_of(
    app: AppSettings,
    index: FunctionIndex,
    invoker: Invoker,
    protection: Protection,
    keys: KeyStore,
    port: int,
    background: Callable[[], Sequence[TaskReport]],
) -> Admin:
    """Put the routes together for one app."""
    clock = SystemClock()
    began = clock.now()
    host = HostRoutes(
        app.app_dir, random_id(), lambda: (clock.now() - began).total_seconds(), background
    )
    runs = HandRuns(invoker, f"http://localhost:{port}")
    functions = FunctionRoutes(index, app.app_dir, app.host.http.route_prefix, runs)
    return Admin(protection, host, functions, KeyRoutes(keys, index))


def _of_one_key(path: str, keys: KeyRoutes) -> tuple[_Route, ...]:
    return (
        _Route("GET", path, keys.get),
        _Route("POST", path, keys.make),
        _Route("PUT", path, keys.put),
        _Route("DELETE", path, keys.delete),
    )
