"""Finds the handler of a request to the webhook, and turns what goes wrong into its replies."""

import logging
import re
from urllib.parse import unquote_plus

import grpc
import grpc.aio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from local_runtime.functions_host.web.request_parts import BodyTooLarge, raw_path, read_body
from local_runtime.functions_host.web.throttle import Throttle, TooManyRequests
from local_runtime.functions_host.webhook.call import Call, Query, WebhookContext
from local_runtime.functions_host.webhook.contract.document import document
from local_runtime.functions_host.webhook.contract.operation import Answer, Operation
from local_runtime.functions_host.webhook.contract.operations import OPERATIONS
from local_runtime.functions_host.webhook.contract.parameters import (
    CONNECTION,
    EVERYWHERE,
    HUB_NAME,
    TASK_HUB,
)
from local_runtime.functions_host.webhook.management_urls import (
    WEBHOOK_PATH,
    ManagementUrls,
    origin_of,
)
from local_runtime.functions_host.webhook.replies import (
    Refused,
    bad_argument,
    busy,
    empty,
    exception,
    reply,
    too_large,
)
from local_runtime.functions_host.webhook.task_hub.calls import MAX_PAYLOAD_BYTES
from local_runtime.functions_host.webhook.task_hub.entities import Entities
from local_runtime.functions_host.webhook.task_hub.instances import START_SECONDS, Instances
from local_runtime.functions_host.webhook.task_hub.start_queue import SchedulerStuck, StartQueue
from local_runtime.scheduler.client import MAX_MESSAGE_BYTES, is_too_large, may_pass

_READS = ("GET", "HEAD", "OPTIONS")
_MEBIBYTE = 1024 * 1024
_WRONG = "Something went wrong while processing your request"

logger = logging.getLogger("local_runtime.host")


async def _openapi(call: Call) -> Response:
    asks_for_keys = call.context.protection.asks_for_keys
    server_url = f"{call.urls.origin}{WEBHOOK_PATH}"
    return reply(200, document(ROUTES, server_url, asks_for_keys=asks_for_keys))


# No route of the extension has this path, and none can come to: they begin with other words.
ROUTES = (
    *OPERATIONS,
    Operation(
        "GET",
        "openapi.json",
        _openapi,
        "Get this document",
        {200: Answer("The OpenAPI document.", ({"type": "object"},))},
    ),
)


class Webhook:
    """Answers requests below /runtime/webhooks/durabletask."""

    def __init__(self, context: WebhookContext, task_hub: str) -> None:
        self._context = context
        self._task_hub = task_hub
        self._starts = Throttle(context.host.max_starts, None)
        self._start_queue = StartQueue(START_SECONDS)

    async def answer(self, request: Request) -> Response | None:
        """Answer a request; None if it is not for the webhook."""
        segments = _segments(request)
        if segments is None:
            return None
        refused = self._context.protection.of_webhook(request)
        if refused is not None:
            return refused
        for route in ROUTES:
            params = route.match(request.method, segments)
            if params is not None:
                return await self._handle(route, request, params)
        return empty(404)

    async def _handle(self, route: Operation, request: Request, params: dict[str, str]) -> Response:
        try:
            if not route.starts:
                return await route.handler(await self._call(route, request, params))
            async with self._starts.turn():
                return await route.handler(await self._call(route, request, params))
        except TooManyRequests:
            return busy(
                f"This host carries {self._context.host.max_starts} requests at once that start an "
                "instance or wait for one, and this is one more. Nothing has started: try again."
            )
        except SchedulerStuck:
            return busy("The scheduler does not answer. Nothing has started: try again.")
        except Refused as refused:
            return refused.reply
        except grpc.aio.AioRpcError as problem:
            return _scheduler_refused(request, problem)
        except ClientDisconnect:
            raise
        except Exception as problem:
            logger.exception("%s %s could not be answered", request.method, raw_path(request))
            return exception(500, _WRONG, str(problem), type(problem).__name__)

    async def _call(self, route: Operation, request: Request, params: dict[str, str]) -> Call:
        query = Query(request.url.query, (*route.parameters, *EVERYWHERE))
        # A management URL names its hub, so that it stays true when the host is given another.
        hub = query.get(TASK_HUB) or self._task_hub
        if hub != self._task_hub and not re.fullmatch(HUB_NAME, hub):
            raise bad_argument(f"Task hub name {hub!r} is not valid.")
        host = self._context.host
        origin = origin_of(request, use_forwarded_host=host.use_forwarded_host)
        connection = query.get(CONNECTION) or host.connection_name
        return Call(
            request=request,
            params=params,
            query=query,
            body=await _body(request) if route.body is not None else b"",
            context=self._context,
            instances=Instances(self._context.scheduler, hub),
            entities=Entities(self._context.scheduler, hub),
            starts=self._start_queue,
            urls=ManagementUrls(origin, hub, connection, self._context.protection.webhook_key()),
        )


async def _body(request: Request) -> bytes:
    """Return the body.

    Raises:
        Refused: It is larger than the scheduler takes.
    """
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else 0
    if size <= MAX_PAYLOAD_BYTES:
        try:
            body = await read_body(request)
        except BodyTooLarge:
            size = MAX_PAYLOAD_BYTES + 1
        else:
            if len(body) <= MAX_PAYLOAD_BYTES:
                return body
    limit = f"{MAX_PAYLOAD_BYTES} bytes ({MAX_PAYLOAD_BYTES // _MEBIBYTE} MiB)"
    raise Refused(too_large(f"The body is larger than the scheduler takes: at most {limit}."))


def _scheduler_refused(request: Request, problem: grpc.aio.AioRpcError) -> Response:
    match problem.code():
        case grpc.StatusCode.INVALID_ARGUMENT:
            return bad_argument(problem.details() or "").reply
        case grpc.StatusCode.NOT_FOUND:
            # It was purged between two looks.
            return empty(404)
        case _ if is_too_large(problem):
            return too_large(
                f"One message of the scheduler holds at most {MAX_MESSAGE_BYTES // _MEBIBYTE} MiB, "
                "and this request, or what it asks for, is larger."
            )
        case code if may_pass(problem) and request.method not in _READS:
            logger.warning(
                "%s %s: the scheduler does not answer (%s: %s)",
                request.method,
                raw_path(request),
                code.name,
                problem.details(),
            )
            return busy(
                f"The scheduler does not answer ({code.name}). It is not known whether what was "
                "asked for has been done."
            )
        case code:
            details = f"The scheduler answered {code.name}: {problem.details()}"
            logger.error("%s %s: %s", request.method, raw_path(request), details)
            return exception(500, _WRONG, details, "Grpc.Core.RpcException")


def _segments(request: Request) -> list[str] | None:
    """Return the parts of the path below the webhook, decoded one by one.

    Decoded whole, an event name with an encoded slash would look like two parts. A `+` is a space,
    as the extension reads it.
    """
    parts = raw_path(request).strip("/").split("/")
    base = WEBHOOK_PATH.strip("/").split("/")
    if [part.lower() for part in parts[: len(base)]] != base:
        return None
    return [unquote_plus(part) for part in parts[len(base) :]]
