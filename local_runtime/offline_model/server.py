"""Serves the OpenAI chat completions API with canned replies; the API of a model, without one."""

import asyncio
import itertools
import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_runtime.clock import Clock, SystemClock
from local_runtime.http_server.connection import Connection
from local_runtime.http_server.server import listen, serving
from local_runtime.offline_model.chat_request import ChatRequest, InvalidRequest
from local_runtime.offline_model.faults import FaultPlan, parse_faults
from local_runtime.offline_model.replies import placeholder, reply_to
from local_runtime.offline_model.schema_value import NoValue, value_for
from local_runtime.offline_model.settings import ModelSettings

MODEL = "offline-canned"
REPLY_MODEL = "offline-canned (not a real model)"

_CHARS_PER_TOKEN = 4
_UNANSWERED_SECONDS = 900.0
_RETRY_AFTER_SECONDS = "1"
_STATUS_FAULTS: dict[str, tuple[int, str, dict[str, str]]] = {
    "400": (400, "invalid_request_error", {}),
    "429": (429, "rate_limit_error", {"Retry-After": _RETRY_AFTER_SECONDS}),
    "500": (500, "server_error", {}),
}

logger = logging.getLogger("local_runtime.model")


async def serve(
    settings: ModelSettings,
    *,
    ready: Callable[[Mapping[str, object]], None],
    stop: asyncio.Event,
) -> None:
    """Serve until `stop` is set; `ready` gets the port once it is listened on.

    Raises:
        StartupError: The port is in use.
    """
    connections = _Connections()
    model = _OfflineModel(settings, connections, SystemClock())
    listener = listen(settings.port, "--port")
    async with serving(
        model.application(), listener, grace_seconds=1, protocol=connections.protocol()
    ) as port:
        ready({"port": port})
        await stop.wait()


class _Connections:
    """The open connections by their client's address, so that one can be cut off."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol(self) -> type[Connection]:
        """Return uvicorn's protocol, which tells this object of its connections."""
        connections = self._open

        class KnownConnection(Connection):
            def connection_made(self, transport: asyncio.Transport) -> None:
                super().connection_made(transport)
                if self.client is not None:
                    connections[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                if self.client is not None:
                    connections.pop(self.client, None)

        return KnownConnection

    def cut(self, request: Request) -> None:
        """Break off the connection that a request came by."""
        if request.client is not None:
            self._open[request.client.host, request.client.port].abort()


class _OfflineModel:
    """Answers the requests of the API."""

    def __init__(self, settings: ModelSettings, connections: _Connections, clock: Clock) -> None:
        self._latency_seconds = settings.latency_ms / 1000
        self._faults = FaultPlan(parse_faults(settings.faults), settings.seed)
        self._connections = connections
        self._clock = clock
        self._numbers = itertools.count(1)

    def application(self) -> Starlette:
        """Return the routes, under the paths of OpenAI and under those of Azure."""
        return Starlette(
            routes=[
                route
                for prefix in ("/v1", "/openai/v1", "/openai/deployments/{deployment}")
                for route in (
                    Route(f"{prefix}/chat/completions", self._complete, methods=["POST"]),
                    Route(f"{prefix}/models", self._list_models, methods=["GET"]),
                )
            ],
            exception_handlers={404: _no_such_path, 405: _no_such_path},
        )

    async def _list_models(self, request: Request) -> Response:
        entry = {"id": MODEL, "object": "model", "created": 0, "owned_by": REPLY_MODEL}
        return JSONResponse({"object": "list", "data": [entry]})

    async def _complete(self, request: Request) -> Response:
        body = await request.body()
        await asyncio.sleep(self._latency_seconds)
        fault = self._faults.draw()
        if fault is not None:
            return await self._fail(fault, request)
        try:
            chat = ChatRequest.parse(json.loads(body))
            return JSONResponse(self._completion(chat, _content(chat)))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            return _error(400, f"the body is not valid JSON: {error}")
        except NoValue as error:
            return _error(400, f"the offline model: {error}", param="response_format")
        except InvalidRequest as error:
            return _error(400, str(error), param=error.param)

    def _completion(self, chat: ChatRequest, content: str) -> dict[str, Any]:
        prompt, completion = _tokens(chat.prompt_chars), _tokens(len(content))
        return {
            "id": f"chatcmpl-offline-{next(self._numbers)}",
            "object": "chat.completion",
            "created": int(self._clock.now().timestamp()),
            "model": REPLY_MODEL,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
        }

    async def _fail(self, fault: str, request: Request) -> Response:
        logger.info("one request meets the fault %r, as OFFLINE_MODEL_FAULTS asks", fault)
        if fault in _STATUS_FAULTS:
            status, kind, headers = _STATUS_FAULTS[fault]
            message = f"a fault of kind {fault}, as OFFLINE_MODEL_FAULTS asks"
            return _error(status, message, kind=kind, headers=headers)
        if fault == "timeout":
            await _never_answer(request)
        if fault in ("timeout", "drop"):
            self._connections.cut(request)
        # Also what goes into a connection that has been cut, where nobody reads it.
        return Response('{"id": "chatcmpl-offline", "choices": [', media_type="application/json")


async def _never_answer(request: Request) -> None:
    """Wait until the client gives up, or for very long."""
    try:
        async with asyncio.timeout(_UNANSWERED_SECONDS):
            # The body is read: what comes next is the end of the connection.
            await request.receive()
    except TimeoutError:
        logger.info("a client has waited %g s for no answer", _UNANSWERED_SECONDS)


def _content(chat: ChatRequest) -> str:
    if not chat.wants_json:
        return reply_to(chat.conversation)
    note = placeholder(chat.conversation.user_text)
    value = {"placeholder": note} if chat.schema is None else value_for(chat.schema, note)
    return json.dumps(value, ensure_ascii=False)


def _tokens(characters: int) -> int:
    return math.ceil(characters / _CHARS_PER_TOKEN)


def _error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    error = {"message": message, "type": kind, "param": param, "code": code}
    return JSONResponse({"error": error}, status, headers)


async def _no_such_path(request: Request, error: Exception) -> Response:
    path = f"{request.method} {request.url.path}"
    return _error(404, f"Invalid URL ({path})", code="unknown_url")
