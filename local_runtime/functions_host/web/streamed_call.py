"""Answers a request with a function that streams, through the app's FastAPI extension."""

import asyncio
import logging

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local_runtime.functions_host.app.function_index import Function
from local_runtime.functions_host.app.http_extension import (
    INVOCATION_ID_HEADER,
    fail,
    forget,
    was_asked,
)
from local_runtime.functions_host.app.invocation import FunctionFailed, Invoker
from local_runtime.functions_host.app.watchdog import FunctionTimedOut
from local_runtime.functions_host.app.worker_messages import TypedData
from local_runtime.functions_host.ids import random_id
from local_runtime.functions_host.web.request_parts import BodyTooLarge
from local_runtime.functions_host.web.rpc_request import to_rpc

logger = logging.getLogger("local_runtime.host")


class StreamedCall:
    """One request to a function that streams; an ASGI application."""

    def __init__(
        self, application: ASGIApp, invoker: Invoker, function: Function, params: dict[str, str]
    ) -> None:
        self._application = application
        self._invoker = invoker
        self._function = function
        self._params = params
        self._begun = False
        self._too_large = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Invoke the function, and let the extension bring the two together by the invocation's id.

        The function is given the request as it comes, and its response is sent as it is made. Of
        what fails before the first byte comes a 500; after it the connection is closed.
        """
        try:
            # The function has made no more than a beginning when it returns its stream.
            await self._invoker.watch(self._function, self._stream(scope, receive, send))
        except Exception as error:
            self._log(error)
            if not self._begun:
                await self._refusal(error)(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        invocation_id = random_id()
        invocation = asyncio.create_task(self._invoke(Request(scope), invocation_id))

        async def receive_some() -> Message:
            try:
                return await receive()
            except BodyTooLarge:
                self._too_large = True
                raise

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The function has returned, or failed; what else it puts out may take a while. Of a
                # refusal of the extension's own it knows nothing.
                if was_asked(invocation_id):
                    await invocation
                self._begun = True
            await send(message)

        try:
            await self._application(_marked(scope, invocation_id), receive_some, send_on)
        finally:
            invocation.cancel()
            await asyncio.wait([invocation])
            forget(invocation_id)

    async def _invoke(self, request: Request, invocation_id: str) -> None:
        http = to_rpc(request, self._params, b"")
        try:
            await self._invoker.invoke(
                self._function,
                TypedData(http=http),
                trace_parent=http.headers.get("traceparent", ""),
                invocation_id=invocation_id,
                watched=False,
            )
        except Exception as error:
            fail(invocation_id, error)
            raise

    def _refusal(self, error: Exception) -> Response:
        if self._too_large:
            return Response(status_code=413)
        # After a timeout the process is about to end, so the connection is of no more use.
        closing = {"Connection": "close"} if isinstance(error, FunctionTimedOut) else None
        return Response(status_code=500, headers=closing)

    def _log(self, error: Exception) -> None:
        name = self._function.name
        if self._too_large:
            logger.info("function %s was sent too large a body", name)
        elif isinstance(error, FunctionFailed):
            logger.error("function %s failed: %s\n%s", name, error.text, error.stack_trace)
        elif not isinstance(error, FunctionTimedOut):
            logger.error("function %s failed in its stream: %s", name, error, exc_info=error)


def _marked(scope: Scope, invocation_id: str) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name != INVOCATION_ID_HEADER]
    headers.append((INVOCATION_ID_HEADER, invocation_id.encode()))
    return {**scope, "headers": headers}
