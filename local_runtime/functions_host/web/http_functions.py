"""Serves the app's HTTP functions below its route prefix."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local_runtime.functions_host.app.function_index import HTTP_RESPONSE, Function, FunctionIndex
from local_runtime.functions_host.app.http_extension import streaming_application
from local_runtime.functions_host.app.invocation import FunctionFailed, Invoker, Returned
from local_runtime.functions_host.app.worker_messages import TypedData
from local_runtime.functions_host.keys.protection import Protection
from local_runtime.functions_host.web.request_parts import raw_path, read_body
from local_runtime.functions_host.web.request_path import decoded
from local_runtime.functions_host.web.route_template import RouteTemplate
from local_runtime.functions_host.web.rpc_request import to_rpc
from local_runtime.functions_host.web.rpc_response import UnusableResponse, to_response
from local_runtime.functions_host.web.streamed_call import StreamedCall
from local_runtime.functions_host.web.throttle import Throttle, TooManyRequests
from local_runtime.http_server.whole_reply import WholeReply
from local_runtime.settings import HttpSettings

# What the worker library says of a function that returned nothing.
_NOTHING_RETURNED = (
    'TypeError: unable to encode outgoing TypedData: unsupported type "http" '
    'for Python type "NoneType"'
)

logger = logging.getLogger("local_runtime.host")


@dataclass(frozen=True)
class HttpRoute:
    """Where a function is found."""

    function: Function
    template: RouteTemplate
    methods: frozenset[str]
    """Empty for any."""


class HttpFunctions:
    """The app's HTTP functions, found by route and verb."""

    def __init__(
        self,
        index: FunctionIndex,
        invoker: Invoker,
        settings: HttpSettings,
        protection: Protection,
    ) -> None:
        self._invoker = invoker
        self._protection = protection
        routes = [_route(function, settings.route_prefix) for function in index.http_functions()]
        self._routes = sorted(routes, key=lambda route: route.template.rank)
        self._throttle = Throttle(settings.max_outstanding, settings.max_concurrent)
        self._custom_headers = settings.custom_headers
        self._streaming = streaming_application()

    async def answer(self, request: Request) -> ASGIApp | None:
        """Answer a request; None if no function has its route and verb."""
        path = decoded(raw_path(request))
        for route in self._routes:
            params = route.template.match(path)
            if params is not None and (not route.methods or request.method in route.methods):
                return await self._answer(route.function, request, params)
        return None

    async def _answer(
        self, function: Function, request: Request, params: dict[str, str]
    ) -> ASGIApp:
        refused = self._protection.of_function(request, function.name, function.auth_level)
        if refused is not None:
            return self._finished(refused)
        if self._streaming is not None:
            call = StreamedCall(self._streaming, self._invoker, function, params)
            return self._finished(self._in_turn(call))
        if self._throttle.unlimited:
            return self._finished(await self._invoke(function, request, params))
        try:
            async with self._throttle.turn():
                return self._finished(await self._invoke(function, request, params))
        except TooManyRequests:
            return self._finished(Response(status_code=429))

    async def _invoke(
        self, function: Function, request: Request, params: dict[str, str]
    ) -> WholeReply:
        http = to_rpc(request, params, await read_body(request))
        try:
            returned = await self._invoker.invoke(
                function, TypedData(http=http), trace_parent=http.headers.get("traceparent", "")
            )
            return to_response(_output(function, returned))
        except FunctionFailed as failed:
            if failed.text == _NOTHING_RETURNED:
                return WholeReply(204)
            logger.error(
                "function %s failed: %s\n%s", function.name, failed.text, failed.stack_trace
            )
        except UnusableResponse as problem:
            logger.error("function %s: its response cannot be sent: %s", function.name, problem)
        return WholeReply(500)

    def _in_turn(self, call: ASGIApp) -> ASGIApp:
        if self._throttle.unlimited:
            return call

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                async with self._throttle.turn():
                    await call(scope, receive, send)
            except TooManyRequests:
                await Response(status_code=429)(scope, receive, send)

        return answer

    def _finished(self, answer: ASGIApp) -> ASGIApp:
        return _WithHeaders(answer, self._custom_headers) if self._custom_headers else answer


class _WithHeaders:
    """An answer with headers of host.json where it has none of that name."""

    def __init__(self, answer: ASGIApp, headers: Mapping[str, str]) -> None:
        self._answer = answer
        self._headers = [(name.lower().encode(), text.encode()) for name, text in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                names = {name.lower() for name, _ in headers}
                headers += [header for header in self._headers if header[0] not in names]
                message = {**message, "headers": headers}
            await send(message)

        await self._answer(scope, receive, send_with_headers)


def _route(function: Function, prefix: str) -> HttpRoute:
    template = RouteTemplate.parse(function.http_route(prefix) or "")
    return HttpRoute(function, template, frozenset(function.http_methods))


def _output(function: Function, returned: Returned) -> TypedData | None:
    """Return what a function answers: by `return`, or through an output parameter."""
    if returned.value is not None:
        return returned.value
    for binding in function.others:
        if binding.type == HTTP_RESPONSE and binding.name in returned.outputs:
            return returned.outputs[binding.name]
    return None
