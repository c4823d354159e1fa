"""The dashboard's pages: task hubs, instances of a hub, one instance with its history."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from local_runtime.clock import Clock
from local_runtime.dashboard.clock_routes import MovableTime, clock_routes
from local_runtime.dashboard.history_rows import history_row
from local_runtime.dashboard.hub_reader import (
    HubReader,
    Listing,
    SchedulerUnreachable,
    WrongRequest,
)
from local_runtime.dashboard.hub_status import HubStatus, as_json, due, problems, worker_row
from local_runtime.dashboard.instance_view import STATUSES, InstanceView

_HERE = Path(__file__).parent
_HEADERS = {
    # Instances hold text of models and users: whatever it is, the page runs and loads only its own.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

type Endpoint = Callable[[Request], Awaitable[Response]]


class Pages:
    """Answers the dashboard's requests."""

    def __init__(
        self,
        reader: HubReader,
        functions_url: str | None,
        clock: Clock,
        movable: MovableTime | None = None,
        status: Callable[[], Sequence[HubStatus]] = list,
    ) -> None:
        self._status = status
        self._reader = reader
        self._functions_url = functions_url or "http://localhost:7071"
        self._clock = clock
        self._movable = movable
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["in_path"] = _in_path

    def application(self) -> Starlette:
        """Return the routes."""
        return Starlette(
            routes=[
                Route("/", self._home),
                Route("/hubs/{hub}", self._instances),
                Route("/hubs/{hub}/workers", self._workers),
                Route("/status", self._status_json),
                # `path`: the id of an instance may hold slashes.
                Route("/hubs/{hub}/instances/{instance_id:path}", self._instance),
                *clock_routes(self._clock.now, self._movable),
                Mount("/static", StaticFiles(directory=_HERE / "static")),
            ],
            # A web page of somebody else that resolves to this machine must not read it.
            middleware=[
                Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"])
            ],
            exception_handlers={
                HTTPException: self._http_error,
                SchedulerUnreachable: self._unreachable,
                WrongRequest: self._wrong_request,
            },
        )

    async def _home(self, request: Request) -> Response:
        hubs = self._reader.hubs()
        if len(hubs) == 1:
            return RedirectResponse(f"/hubs/{_in_path(hubs[0])}", headers=_HEADERS)
        return self._page("hubs.html", {"hubs": hubs, "curl": self._curl()})

    async def _instances(self, request: Request) -> Response:
        hub = self._known_hub(request)
        chosen = request.query_params.get("status", "")
        if chosen and chosen not in STATUSES:
            raise WrongRequest(f"there is no status {chosen!r}")
        prefix = request.query_params.get("prefix", "")
        after = request.query_params.get("after", "")
        listing = Listing(hub, STATUSES.get(chosen), prefix, after)
        states, next_page = await self._reader.page(listing)
        now = self._clock.now()
        chosen_query = {"status": chosen, "prefix": prefix}
        return self._page(
            "instances.html",
            {
                "hub": hub,
                "hubs": self._reader.hubs(),
                "instances": [InstanceView.of(state, now) for state in states],
                "statuses": list(STATUSES),
                "status": chosen,
                "prefix": prefix,
                "is_first": not after,
                "first_query": urlencode(chosen_query),
                "next_query": urlencode({**chosen_query, "after": next_page}) if next_page else "",
                "curl": self._curl(),
            },
        )

    async def _instance(self, request: Request) -> Response:
        hub = self._known_hub(request)
        instance_id = request.path_params["instance_id"]
        state = await self._reader.instance(hub, instance_id)
        if state is None:
            raise HTTPException(404, f"The task hub {hub} has no instance {instance_id!r}.")
        history = await self._reader.history(hub, instance_id)
        return self._page(
            "instance.html",
            {
                "hub": hub,
                "instance": InstanceView.of(state, self._clock.now()),
                "history": [history_row(event) for event in history],
            },
        )

    async def _workers(self, request: Request) -> Response:
        hub = self._known_hub(request)
        found = next((status for status in self._status() if status.name == hub), None)
        if found is None:
            raise HTTPException(404, f"The task hub {hub} is not open.")
        return self._page(
            "workers.html",
            {
                "hub": hub,
                "problems": problems(found),
                "waiting": found.waiting,
                "workers": [worker_row(worker) for worker in found.workers],
                "tasks": found.tasks,
                "set_aside": [(row, due(row)) for row in found.set_aside],
                "troubles": list(reversed(found.troubles)),
            },
        )

    async def _status_json(self, request: Request) -> Response:
        return JSONResponse(as_json(self._status()), headers={"Cache-Control": "no-store"})

    def _known_hub(self, request: Request) -> str:
        # The scheduler makes a hub that does not exist; looking at one must not.
        hub = str(request.path_params["hub"])
        if hub not in self._reader.hubs():
            raise HTTPException(404, f"There is no task hub {hub!r}.")
        return hub

    async def _http_error(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        detail = error.detail
        if detail == "Not Found":
            detail = "There is no such page."
        return self._message(error.status_code, detail)

    async def _unreachable(self, request: Request, error: Exception) -> Response:
        return self._message(
            503, f"The scheduler does not answer; this page tries again by itself. ({error})"
        )

    async def _wrong_request(self, request: Request, error: Exception) -> Response:
        return self._message(400, f"This cannot be shown: {error}.")

    def _message(self, status: int, text: str) -> Response:
        return self._page("message.html", {"status": status, "text": text}, status)

    def _page(self, template: str, values: Mapping[str, object], status: int = 200) -> Response:
        html = self._templates.get_template(template).render(values)
        return HTMLResponse(html, status, headers=_HEADERS)

    def _curl(self) -> str:
        url = f"{self._functions_url}/runtime/webhooks/durabletask/orchestrators/ORCHESTRATOR_NAME"
        return f"curl -i -X POST {url} -H 'Content-Type: application/json' -d 'INPUT_AS_JSON'"


def _in_path(text: str) -> str:
    """Encode a text as one step of a path, with its slashes."""
    return quote(text, safe="")
