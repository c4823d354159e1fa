"""Serves the chat completions and the Responses API with canned replies: a model's, without one."""

import asyncio
import itertools
import json
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_runtime.clock import Clock, SystemClock
from local_runtime.http_server.connection import Connection
from local_runtime.http_server.server import listen, serving
from local_runtime.offline_model.answers import answer_to
from local_runtime.offline_model.chat_reply import REPLY_MODEL, completion, pieces
from local_runtime.offline_model.chat_request import ChatRequest
from local_runtime.offline_model.conversation import InvalidRequest
from local_runtime.offline_model.faults import FaultPlan, parse_faults
from local_runtime.offline_model.response_store import Response as StoredResponse
from local_runtime.offline_model.response_store import ResponseStore
from local_runtime.offline_model.responses_request import ResponsesRequest
from local_runtime.offline_model.schema_value import NoValue
from local_runtime.offline_model.serving import ClientGone, Counts, Drip, pause
from local_runtime.offline_model.settings import ModelSettings

MODEL = "offline-canned"

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
        self._latency = timedelta(milliseconds=settings.latency_ms)
        self._drip_seconds = settings.drip_ms / 1000
        self._faults = FaultPlan(parse_faults(settings.faults), settings.seed)
        self._connections = connections
        self._clock = clock
        self._numbers = itertools.count(1)
        self._responses = ResponseStore()
        self._counts = Counts()

    def application(self) -> Starlette:
        """Return the routes, under the paths of OpenAI and under those of Azure."""
        kept = "/responses/{response_id}"
        routes = [
            route
            for prefix in ("/v1", "/openai/v1", "/openai/deployments/{deployment}")
            for route in (
                Route(f"{prefix}/chat/completions", self._complete, methods=["POST"]),
                Route(f"{prefix}/models", self._list_models, methods=["GET"]),
                Route(f"{prefix}/responses", self._respond, methods=["POST"]),
                Route(f"{prefix}{kept}", self._get_response, methods=["GET"]),
                Route(f"{prefix}{kept}/cancel", self._cancel_response, methods=["POST"]),
            )
        ]
        counts = Route("/offline/counts", self._list_counts, methods=["GET"])
        return Starlette(
            routes=[*routes, counts],
            exception_handlers={
                404: _no_such_path,
                405: _no_such_path,
                InvalidRequest: _invalid,
                NoValue: _no_value,
                ClientGone: self._client_gone,
            },
        )

    async def _list_models(self, request: Request) -> Response:
        entry = {"id": MODEL, "object": "model", "created": 0, "owned_by": REPLY_MODEL}
        return JSONResponse({"object": "list", "data": [entry]})

    async def _list_counts(self, request: Request) -> Response:
        return JSONResponse(self._counts.to_dict())

    async def _complete(self, request: Request) -> Response:
        body = await self._body_of(request)
        await pause(request, self._latency.total_seconds())
        if (fault := self._faults.draw()) is not None:
            return await self._fail(fault, request)
        chat = ChatRequest.parse(_parsed(body))
        answer = answer_to(chat.asked)
        number, created = next(self._numbers), int(self._clock.now().timestamp())
        if chat.stream:
            sent = pieces(chat.asked, answer, number, created, with_usage=chat.with_usage)
            return Drip(sent, self._drip_seconds, self._counts)
        self._counts.answered += 1
        return JSONResponse(completion(chat.asked, answer, number, created))

    async def _respond(self, request: Request) -> Response:
        body = await self._body_of(request)
        if (fault := self._faults.draw()) is not None:
            return await self._fail(fault, request)
        asked = ResponsesRequest.parse(_parsed(body))
        now = self._clock.now()
        response = StoredResponse(
            next(self._numbers),
            asked.asked,
            answer_to(asked.asked),
            created=now,
            ready=now + self._latency,
            background=asked.background,
        )
        if not asked.background:
            await pause(request, self._latency.total_seconds())
            response.ready = self._clock.now()
        if asked.store:
            self._responses.keep(response)
        self._counts.answered += 1
        return JSONResponse(response.document(self._clock.now()))

    async def _get_response(self, request: Request) -> Response:
        response = self._responses.get(request.path_params["response_id"])
        if response is None:
            return _no_such_response(request)
        return JSONResponse(response.document(self._clock.now()))

    async def _cancel_response(self, request: Request) -> Response:
        response = self._responses.get(request.path_params["response_id"])
        if response is None:
            return _no_such_response(request)
        if not response.background:
            return _error(400, "only a response in the background can be cancelled")
        now = self._clock.now()
        if response.status(now) == "in_progress":
            response.cancelled = True
            self._counts.cancelled += 1
        return JSONResponse(response.document(now))

    async def _body_of(self, request: Request) -> bytes:
        self._counts.received += 1
        return await request.body()

    async def _client_gone(self, request: Request, error: Exception) -> Response:
        self._counts.broken_off += 1
        logger.info("a client went before it had its answer")
        return Response(status_code=499)  # nobody reads it

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


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from None


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


def _no_such_response(request: Request) -> Response:
    response_id = request.path_params["response_id"]
    message = f"Response with id '{response_id}' not found."
    return _error(404, message, param="response_id", code="response_not_found")


async def _invalid(request: Request, error: Exception) -> Response:
    return _error(400, str(error), param=getattr(error, "param", None))


async def _no_value(request: Request, error: Exception) -> Response:
    return _error(400, f"the offline model: {error}", param="response_format")
