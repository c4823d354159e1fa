"""Finds the handler of a request to the webhook, and turns what goes wrong into its replies."""

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

import grpc
import grpc.aio
from starlette.requests import Request
from starlette.responses import Response

from local_runtime.functions_host.web.request_parts import raw_path, read_body
from local_runtime.functions_host.webhook.call import Call, Query, WebhookContext
from local_runtime.functions_host.webhook.control import raise_event, resume, suspend, terminate
from local_runtime.functions_host.webhook.instances import Instances
from local_runtime.functions_host.webhook.management_urls import (
    WEBHOOK_PATH,
    ManagementUrls,
    origin_of,
)
from local_runtime.functions_host.webhook.purge import purge_many, purge_one
from local_runtime.functions_host.webhook.replies import Refused, bad_argument, empty, exception
from local_runtime.functions_host.webhook.rerun import restart, rewind
from local_runtime.functions_host.webhook.start import start
from local_runtime.functions_host.webhook.status import get_status, list_instances

_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

logger = logging.getLogger("local_runtime.host")


@dataclass(frozen=True)
class _Route:
    verb: str
    path: str
    handler: Callable[[Call], Awaitable[Response]]

    def match(self, verb: str, segments: list[str]) -> dict[str, str] | None:
        """Return the parameters in the path; names and literals are compared without case."""
        template = self.path.split("/")
        if verb != self.verb or len(template) != len(segments):
            return None
        params: dict[str, str] = {}
        for expected, given in zip(template, segments, strict=True):
            if expected.startswith("{") and given:
                params[expected.strip("{}").lower()] = given
            elif expected.lower() != given.lower():
                return None
        return params


_ROUTES = (
    _Route("POST", "orchestrators/{functionName}", start),
    _Route("POST", "orchestrators/{functionName}/{instanceId}", start),
    _Route("GET", "instances/{instanceId}", get_status),
    _Route("GET", "instances", list_instances),
    _Route("DELETE", "instances/{instanceId}", purge_one),
    _Route("DELETE", "instances", purge_many),
    _Route("POST", "instances/{instanceId}/raiseEvent/{eventName}", raise_event),
    _Route("POST", "instances/{instanceId}/terminate", terminate),
    _Route("POST", "instances/{instanceId}/suspend", suspend),
    _Route("POST", "instances/{instanceId}/resume", resume),
    _Route("POST", "instances/{instanceId}/restart", restart),
    _Route("POST", "instances/{instanceId}/rewind", rewind),
)


class Webhook:
    """Answers requests below /runtime/webhooks/durabletask."""

    def __init__(self, context: WebhookContext, task_hub: str) -> None:
        self._context = context
        self._task_hub = task_hub

    async def answer(self, request: Request) -> Response | None:
        """Answer a request; None if it is not for the webhook."""
        segments = _segments(request)
        if segments is None:
            return None
        refused = self._context.protection.of_webhook(request)
        if refused is not None:
            return refused
        for route in _ROUTES:
            params = route.match(request.method, segments)
            if params is not None:
                return await self._handle(route, request, params)
        return empty(404)

    async def _handle(self, route: _Route, request: Request, params: dict[str, str]) -> Response:
        try:
            return await route.handler(await self._call(request, params))
        except Refused as refused:
            return refused.reply
        except grpc.aio.AioRpcError as problem:
            if problem.code() == grpc.StatusCode.INVALID_ARGUMENT:
                return bad_argument(problem.details() or "").reply
            logger.error(
                "%s %s: the scheduler answered %s: %s",
                request.method,
                request.url.path,
                problem.code().name,
                problem.details(),
            )
            details = f"The scheduler answered {problem.code().name}: {problem.details()}"
            return exception(500, _WRONG, details, "Grpc.Core.RpcException")

    async def _call(self, request: Request, params: dict[str, str]) -> Call:
        query = Query(request.url.query)
        # A management URL names its hub, so that it stays true when the host is given another.
        hub = query.get("taskHub") or self._task_hub
        if hub != self._task_hub and not _HUB_NAME.fullmatch(hub):
            raise bad_argument(f"Task hub name {hub!r} is not valid.")
        host = self._context.host
        origin = origin_of(request, use_forwarded_host=host.use_forwarded_host)
        connection = query.get("connection") or host.connection_name
        return Call(
            request=request,
            params=params,
            query=query,
            body=await read_body(request),
            context=self._context,
            instances=Instances(self._context.scheduler, hub),
            urls=ManagementUrls(origin, hub, connection, self._context.protection.webhook_key()),
        )


_WRONG = "Something went wrong while processing your request"


def _segments(request: Request) -> list[str] | None:
    """Return the parts of the path below the webhook, decoded one by one.

    Decoded whole, an event name with an encoded slash would look like two parts.
    """
    parts = raw_path(request).strip("/").split("/")
    base = WEBHOOK_PATH.strip("/").split("/")
    if [part.lower() for part in parts[: len(base)]] != base:
        return None
    return [unquote(part) for part in parts[len(base) :]]
