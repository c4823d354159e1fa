"""Serves the app's HTTP functions below its route prefix."""

import logging
from dataclasses import dataclass
from email.utils import formatdate
from typing import cast
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request
from starlette.responses import Response

from local_runtime.functions_host.app.function_index import HTTP_RESPONSE, Function, FunctionIndex
from local_runtime.functions_host.app.invocation import FunctionFailed, Invoker, Returned
from local_runtime.functions_host.app.worker_messages import RpcHttp, RpcHttpCookie, TypedData
from local_runtime.functions_host.keys.protection import Protection
from local_runtime.functions_host.web.request_parts import raw_path, read_body
from local_runtime.functions_host.web.route_template import RouteTemplate

# What the worker library says of a function that returned nothing.
_NOTHING_RETURNED = (
    'TypeError: unable to encode outgoing TypedData: unsupported type "http" '
    'for Python type "NoneType"'
)

logger = logging.getLogger("local_runtime.host")


@dataclass(frozen=True)
class _HttpRoute:
    function: Function
    template: RouteTemplate
    methods: frozenset[str]
    """Empty for any."""


class HttpFunctions:
    """The app's HTTP functions, found by route and verb."""

    def __init__(
        self, index: FunctionIndex, invoker: Invoker, prefix: str, protection: Protection
    ) -> None:
        self._invoker = invoker
        self._protection = protection
        routes = [_route(function, prefix) for function in index.http_functions()]
        self._routes = sorted(routes, key=lambda route: route.template.rank)

    async def answer(self, request: Request) -> Response | None:
        """Answer a request; None if no function has its route and verb."""
        # An encoded slash stays encoded, so that it does not divide a parameter.
        path = unquote(raw_path(request).replace("%2F", "%252F").replace("%2f", "%252f"))
        for route in self._routes:
            params = route.template.match(path)
            if params is not None and (not route.methods or request.method in route.methods):
                return await self._invoke(route.function, request, params)
        return None

    async def _invoke(
        self, function: Function, request: Request, params: dict[str, str]
    ) -> Response:
        refused = self._protection.of_function(request, function.name, function.auth_level)
        if refused is not None:
            return refused
        trigger = TypedData(http=await _to_rpc(request, params))
        try:
            returned = await self._invoker.invoke(
                function, trigger, trace_parent=request.headers.get("traceparent", "")
            )
        except FunctionFailed as failed:
            if failed.text == _NOTHING_RETURNED:
                return Response(status_code=204)
            logger.error(
                "function %s failed: %s\n%s", function.name, failed.text, failed.stack_trace
            )
            return Response(status_code=500)
        return _to_response(_output(function, returned))


def _route(function: Function, prefix: str) -> _HttpRoute:
    template = RouteTemplate.parse(function.http_route(prefix) or "")
    return _HttpRoute(function, template, frozenset(function.http_methods))


async def _to_rpc(request: Request, params: dict[str, str]) -> RpcHttp:
    query: dict[str, str] = {}
    for name, value in parse_qsl(request.url.query, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return RpcHttp(
        method=request.method,
        url=str(request.url),
        headers=headers,
        body=TypedData(bytes=await read_body(request)),
        params=params,
        query=query,
    )


def _output(function: Function, returned: Returned) -> TypedData | None:
    """Return what a function answers: by `return`, or through an output parameter."""
    if returned.value is not None:
        return returned.value
    for binding in function.others:
        if binding.type == HTTP_RESPONSE and binding.name in returned.outputs:
            return returned.outputs[binding.name]
    return None


def _to_response(data: TypedData | None) -> Response:
    if data is None or data.value is None:
        return Response(status_code=204)
    if data.kind != "http":
        content = data.value if isinstance(data.value, bytes) else str(data.value).encode()
        return Response(content, 200, {"Content-Type": "text/plain; charset=utf-8"})
    http = cast("RpcHttp", data.value)
    body = http.body.value if http.body is not None else b""
    status = int(http.status_code or "200")
    response = Response(body if status not in (204, 304) else b"", status, dict(http.headers))
    for cookie in http.cookies or []:
        _set_cookie(response, cookie)
    return response


def _set_cookie(response: Response, cookie: RpcHttpCookie) -> None:
    parts = [f"{cookie.name}={cookie.value}"]
    if cookie.domain is not None and cookie.domain.value:
        parts.append(f"domain={cookie.domain.value}")
    if cookie.path is not None and cookie.path.value:
        parts.append(f"path={cookie.path.value}")
    if cookie.expires is not None:
        parts.append(f"expires={formatdate(cookie.expires.value.seconds, usegmt=True)}")
    if cookie.max_age is not None:
        parts.append(f"max-age={int(cookie.max_age.value)}")
    if cookie.secure is not None and cookie.secure.value:
        parts.append("secure")
    if cookie.http_only is not None and cookie.http_only.value:
        parts.append("httponly")
    if cookie.same_site:
        parts.append(f"samesite={cookie.same_site.lower()}")
    response.headers.append("set-cookie", "; ".join(parts))
