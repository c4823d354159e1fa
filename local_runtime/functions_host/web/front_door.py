"""Where HTTP requests to the host come in, and who answers them."""

import json
import logging

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from local_runtime.clock import SystemClock
from local_runtime.functions_host.admin.routes import Admin
from local_runtime.functions_host.app.function_index import FunctionIndex
from local_runtime.functions_host.app.invocation import Invoker
from local_runtime.functions_host.app.watchdog import FunctionTimedOut
from local_runtime.functions_host.ids import random_id
from local_runtime.functions_host.keys.protection import Protection
from local_runtime.functions_host.web.home_page import HomePage
from local_runtime.functions_host.web.http_functions import HttpFunctions
from local_runtime.functions_host.web.request_parts import BodyTooLarge, limited
from local_runtime.functions_host.web.request_path import BadPath, clean_path
from local_runtime.functions_host.webhook.call import WebhookContext
from local_runtime.functions_host.webhook.routes import Webhook
from local_runtime.scheduler.client import SchedulerClient
from local_runtime.settings import HostJson

logger = logging.getLogger("local_runtime.host")


class Gate:
    """Answers 503 until the app is loaded and the scheduler is reached."""

    def __init__(self) -> None:
        self._front_door: FrontDoor | None = None

    def open(self, front_door: "FrontDoor") -> None:
        """Let requests through."""
        self._front_door = front_door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; this is the ASGI application."""
        response: ASGIApp
        try:
            clean_path(scope)
            if self._front_door is not None:
                receive = limited(scope, receive, self._front_door.max_body_bytes)
            response = await self._answer(Request(scope, receive))
        except BodyTooLarge:
            response = Response(status_code=413)
        except BadPath as problem:
            # In the webhook's words: it may have been meant.
            body = json.dumps({"Message": str(problem)}, separators=(",", ":"))
            response = Response(body, 400, {"Content-Type": "application/json; charset=utf-8"})
        except ClientDisconnect:
            logger.info("a client went away before its %s was complete", scope["method"])
            return
        except FunctionTimedOut:
            # The process is about to end, so the connection is of no more use.
            response = Response(status_code=500, headers={"Connection": "close"})
        except Exception:
            logger.exception("%s %s could not be answered", scope["method"], scope["path"])
            response = Response(status_code=500)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> ASGIApp:
        if self._front_door is None:
            return Response(status_code=503, headers={"Retry-After": "1"})
        return await self._front_door.answer(request)


class FrontDoor:
    """Decides who answers an HTTP request: /admin, the webhook, a function of the app, or `/`."""

    def __init__(
        self,
        index: FunctionIndex,
        invoker: Invoker,
        scheduler: SchedulerClient,
        host: HostJson,
        protection: Protection,
        admin: Admin,
        home: HomePage,
    ) -> None:
        self._admin = admin
        self._home = home
        context = WebhookContext(scheduler, index, host, SystemClock(), random_id, protection)
        self._webhook = Webhook(context, scheduler.task_hub)
        self._functions = HttpFunctions(index, invoker, host.http, protection)
        self.max_body_bytes = host.http.max_body_bytes

    async def answer(self, request: Request) -> ASGIApp:
        """Answer a request; 404 for whatever is not there, and for a wrong verb."""
        response = None
        if _may_be_the_hosts(request.scope["raw_path"]):
            response = await self._admin.answer(request) or await self._webhook.answer(request)
        response = response or await self._functions.answer(request)
        if response is not None:
            return response
        if request.method == "GET" and request.url.path == "/":
            return self._home.answer(request)
        return Response(status_code=404)


def _may_be_the_hosts(raw_path: bytes) -> bool:
    """Whether it is worth taking the path apart: it is not for most requests to functions."""
    start = raw_path[:9].lower()
    return start.startswith((b"/runtime/", b"/admin", b"//")) or b"%" in raw_path
