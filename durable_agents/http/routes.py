"""The HTTP functions of an app's agents. Callers reach the agents that are registered by name.

Each function binds the settings of a durable client, and answers errors it knows as problems.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import azure.functions as func
from grpc import RpcError, StatusCode

from durable_agents.durable_clients import durable_client
from durable_agents.errors import AgentNotRegistered
from durable_agents.http.answers import json_answer
from durable_agents.http.approvals import Approvals
from durable_agents.http.callbacks import CALLBACK_ROUTE, Callbacks
from durable_agents.http.problems import Problem
from durable_agents.http.requests import (
    last_event_id,
    path_part,
    principal_of,
    read_run_call,
    wait_seconds,
)
from durable_agents.http.runs import AgentRuns
from durable_agents.http.scheduler_calls import asked, code_of, unavailable
from durable_agents.http.sessions import Sessions
from durable_agents.registry import RegisteredAgent, Registry

logger = logging.getLogger(__name__)

_PROBE = "baton-health-probe"
_PROBE_SECONDS = 1.5
_EVENTS_SECONDS = 25.0

# Names of the functions: no agent or tool may have one of them.
NAMES = (
    "http-agents",
    "http-agent-run",
    "http-agent-runs",
    "http-agent-events",
    "http-agent-session",
    "http-agent-reset",
    "http-approvals",
    "http-approval",
    "http-health",
    "http-callback",
)

type Handler = Callable[[func.HttpRequest, str], Awaitable[func.HttpResponse]]


class FunctionRegister(Protocol):
    """The part of a function app that routes are made with."""

    def route(
        self, *, route: str, methods: list[str], auth_level: func.AuthLevel | None
    ) -> Callable[[Any], Any]:
        """Make a function answer HTTP requests."""
        ...

    def generic_input_binding(self, arg_name: str, type: str) -> Callable[[Any], Any]:
        """Give a function an input."""
        ...

    def function_name(self, name: str) -> Callable[[Any], Any]:
        """Name a function."""
        ...


class AgentRoutes:
    """Answers the requests of the agents' routes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def register(self, app: FunctionRegister) -> None:
        """Make the functions."""
        run, session = "agents/{agent}/runs/{id}", "agents/{agent}/sessions/{id}"
        routes: list[tuple[str, list[str], Handler]] = [
            ("agents", ["GET"], self._list),
            ("agents/{agent}/run", ["POST"], self._run),
            (run, ["GET", "DELETE"], self._one_run),
            (f"{run}/events", ["GET"], self._events),
            (session, ["GET", "DELETE"], self._session),
            (f"{session}/reset", ["POST"], self._reset),
            ("approvals", ["GET"], self._approvals),
            ("approvals/{instance}/{request}", ["POST"], self._answer),
            ("health", ["GET"], self._health),
            (CALLBACK_ROUTE, ["POST"], Callbacks(self._registry).take),
        ]
        for name, (route, methods, handler) in zip(NAMES, routes, strict=True):
            function = _answering(name, handler)
            # The URL of a callback has a secret of its own.
            level = func.AuthLevel.ANONYMOUS if route == CALLBACK_ROUTE else None
            bound = app.route(route=route, methods=methods, auth_level=level)(function)
            bound = app.generic_input_binding("client", "durableClient")(bound)
            app.function_name(name)(bound)

    async def _list(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        agents = [
            {
                "name": one.name,
                "description": one.agent.description,
                "model": one.model.model,
                "tools": [spec.name for spec in one.toolset.specs],
            }
            for one in self._registry.agents.values()
            if one.public
        ]
        return json_answer({"agents": agents})

    async def _run(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        return await self._runs(request, client, 2).begin(read_run_call(request))

    async def _one_run(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        runs = self._runs(request, client, 3)
        correlation_id = path_part(request, "id")
        principal = principal_of(request)
        if request.method == "DELETE":
            return await runs.cancel(correlation_id, principal)
        return await runs.fetch(correlation_id, principal, wait_seconds(request, 0))

    async def _events(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        return await self._runs(request, client, 4).events(
            path_part(request, "id"),
            principal_of(request),
            after=last_event_id(request),
            wait_seconds=wait_seconds(request, _EVENTS_SECONDS),
            until_finished=_until_finished(request),
        )

    async def _session(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        sessions = self._sessions(request, client)
        if request.method == "DELETE":
            return await sessions.delete(request)
        return await sessions.show(request)

    async def _reset(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        return await self._sessions(request, client).reset(request)

    async def _approvals(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        return await Approvals(durable_client(client), self._registry).list(request)

    async def _answer(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        return await Approvals(durable_client(client), self._registry).answer(request)

    async def _health(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        models = sorted({one.model.model for one in self._registry.agents.values()})
        try:
            await asked(durable_client(client).get_orchestration_state(_PROBE), _PROBE_SECONDS)
        except Problem as problem:
            down = {"status": "unavailable", "scheduler": problem.detail, "models": models}
            return json_answer(down, 503, problem.headers)
        return json_answer({"status": "ok", "scheduler": "ok", "models": models})

    def _runs(self, request: func.HttpRequest, client: str, parts: int) -> AgentRuns:
        """Return the runs that a request is about; its URL has so many parts after `agents`."""
        agent = self._agent(path_part(request, "agent"))
        agents = request.url.partition("?")[0].rstrip("/").rsplit("/", parts)[0]
        return AgentRuns(durable_client(client), agent, f"{agents}/{agent.name}/runs")

    def _sessions(self, request: func.HttpRequest, client: str) -> Sessions:
        agent = self._agent(path_part(request, "agent"))
        return Sessions(durable_client(client), agent.name)

    def _agent(self, name: str) -> RegisteredAgent:
        public = {one.name.casefold(): one for one in self._registry.agents.values() if one.public}
        found = public.get(name.casefold())
        if found is None:
            known = ", ".join(sorted(one.name for one in public.values())) or "none"
            raise Problem(
                404,
                AgentNotRegistered.__name__,
                f"no agent is named '{name:.100}'; registered: {known}.",
            )
        return found


def _answering(name: str, handler: Handler) -> Callable[..., Awaitable[func.HttpResponse]]:
    # The annotations are read by the worker when it indexes the function.
    async def answer(req: func.HttpRequest, client: str) -> func.HttpResponse:
        try:
            return await handler(req, client)
        except Exception as error:
            return _problem(name, error).response()

    answer.__name__ = answer.__qualname__ = name.replace("-", "_")
    return answer


def _problem(name: str, error: Exception) -> Problem:
    """Return how an error is answered; one that nobody expects is logged without its words."""
    match error:
        case Problem():
            if error.status == 503:
                logger.warning("%s: %s", name, error.detail)
            return error
        case RpcError() if code_of(error) is StatusCode.INVALID_ARGUMENT:
            return Problem(400, "InvalidInput", "the scheduler takes no such id or value.")
        case RpcError():
            logger.warning("%s: the scheduler says %s", name, code_of(error).name)
            return unavailable(code_of(error).name)
        case _:
            # What it says may quote a prompt or an answer.
            frames = traceback.extract_tb(error.__traceback__)
            place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
            logger.error("%s: %s at %s", name, type(error).__name__, place)
            return Problem(500, "InternalError", "a fault of the app's; its log says where.")


def _until_finished(request: func.HttpRequest) -> bool:
    given = request.params.get("until", "")
    if given not in ("", "finished"):
        raise Problem(400, "InvalidInput", "'until' can only be 'finished'.")
    return given == "finished"
