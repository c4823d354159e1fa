"""The HTTP functions of an app's agents. Callers reach the agents that are registered by name.

Each function binds the settings of a durable client, and answers errors it knows as problems.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, cast

import azure.functions as func
from grpc import RpcError

from durable_agents.durable_clients import durable_client
from durable_agents.errors import AgentNotRegistered
from durable_agents.http.approvals import Approvals
from durable_agents.http.problems import Problem
from durable_agents.http.requests import principal_of, read_run_call
from durable_agents.http.runs import AgentRuns
from durable_agents.http.sessions import Sessions
from durable_agents.registry import RegisteredAgent, Registry

logger = logging.getLogger(__name__)

_PROBE = "baton-health-probe"
_EVENTS_SECONDS = 25.0

type Handler = Callable[[func.HttpRequest, str], Awaitable[func.HttpResponse]]


class FunctionRegister(Protocol):
    """The part of a function app that routes are made with."""

    def route(self, *, route: str, methods: list[str]) -> Callable[[Any], Any]:
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
        for name, route, methods, handler in (
            ("http-agents", "agents", ["GET"], self._list),
            ("http-agent-run", "agents/{agent}/run", ["POST"], self._run),
            ("http-agent-runs", "agents/{agent}/runs/{id}", ["GET", "DELETE"], self._one_run),
            (
                "http-agent-session",
                "agents/{agent}/sessions/{id}",
                ["GET", "DELETE"],
                self._session,
            ),
            ("http-agent-reset", "agents/{agent}/sessions/{id}/reset", ["POST"], self._reset),
            ("http-approvals", "approvals", ["GET"], self._approvals),
            ("http-approval", "approvals/{instance}/{request}", ["POST"], self._answer),
            ("http-health", "health", ["GET"], self._health),
        ):
            function = _answering(name, handler)
            bound = app.route(route=route, methods=methods)(function)
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
        return func.HttpResponse(json.dumps({"agents": agents}), mimetype="application/json")

    async def _run(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        runs = self._runs(request, client)
        return await runs.begin(read_run_call(request))

    async def _one_run(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        runs = self._runs(request, client)
        correlation_id = request.route_params.get("id", "")
        principal = principal_of(request)
        if request.method == "DELETE":
            return await runs.cancel(correlation_id, principal)
        return await runs.fetch(correlation_id, principal, _wait_seconds(request))

    async def _events(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        runs = self._runs(request, client)
        headers = {name.lower(): value for name, value in _headers(request).items()}
        after = headers.get("last-event-id") or request.params.get("last_event_id") or "0"
        if not after.isascii() or not after.isdigit():
            raise Problem(400, "InvalidInput", "'Last-Event-ID' must be the id of an event.")
        seconds = _wait_seconds(request, _EVENTS_SECONDS)
        name = request.route_params.get("id", "")
        return await runs.events(name, principal_of(request), int(after), seconds)

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
        body: dict[str, Any] = {"status": "ok", "scheduler": "ok", "models": models}
        status = 200
        try:
            await durable_client(client).get_orchestration_state(_PROBE)
        except RpcError as error:
            body |= {"status": "unavailable", "scheduler": cast("Any", error).code().name}
            status = 503
        return func.HttpResponse(json.dumps(body), status_code=status, mimetype="application/json")

    def _runs(self, request: func.HttpRequest, client: str) -> AgentRuns:
        agent = self._agent(request.route_params.get("agent", ""))
        base = request.url.partition("?")[0].partition("/agents/")[0]
        return AgentRuns(durable_client(client), agent, f"{base}/agents/{agent.name}/runs")

    def _sessions(self, request: func.HttpRequest, client: str) -> Sessions:
        agent = self._agent(request.route_params.get("agent", ""))
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
        except Problem as problem:
            return problem.response()
        except RpcError as error:
            code = cast("Any", error).code().name
            logger.warning("%s: the scheduler did not answer (%s)", name, code)
            return Problem(
                503,
                "SchedulerUnavailable",
                f"the scheduler did not answer ({code}); nothing is lost, ask again.",
                headers={"Retry-After": "1"},
            ).response()

    answer.__name__ = answer.__qualname__ = name.replace("-", "_")
    return answer


def _headers(request: func.HttpRequest) -> Mapping[str, str]:
    return cast("Mapping[str, str]", request.headers)


def _wait_seconds(request: func.HttpRequest, default: float = 0) -> float:
    try:
        return min(max(float(request.params.get("wait_seconds", default)), 0), 220)
    except ValueError:
        raise Problem(400, "InvalidInput", "'wait_seconds' must be a number of seconds.") from None
