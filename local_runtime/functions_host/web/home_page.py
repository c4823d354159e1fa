"""The page at `/`: what runs here, for a person with a browser."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse

from local_runtime.functions_host.app.function_index import (
    HTTP_TRIGGER,
    ORCHESTRATION,
    Function,
    FunctionIndex,
)
from local_runtime.functions_host.keys.protection import Protection
from local_runtime.functions_host.webhook.management_urls import WEBHOOK_PATH

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATE = "home_page.html"
_HEADERS = {
    # Names in it come from the app: whatever they are, the page runs and loads nothing.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class HomeFacts:
    """What the page says besides the functions."""

    app_dir: Path
    task_hub: str
    route_prefix: str
    dashboard_url: str | None


@dataclass(frozen=True)
class _Row:
    name: str
    trigger: str
    verbs: str
    path: str
    """How it is called over HTTP; empty if it is not."""
    is_link: bool


@functools.cache
def _template() -> "Template":
    # Imported when it is first asked for: the start of the host need not wait for it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template(_TEMPLATE)


class HomePage:
    """Shows what runs; to those who may not manage the host it only shows that it runs."""

    def __init__(self, index: FunctionIndex, protection: Protection, facts: HomeFacts) -> None:
        self._index = index
        self._protection = protection
        self._facts = facts

    def answer(self, request: Request) -> HTMLResponse:
        """Answer GET /."""
        shown = self._protection.of_admin(request) is None
        html = _template().render(
            shown=shown,
            facts=self._facts,
            asks_for_keys=self._protection.asks_for_keys,
            rows=self._rows() if shown else [],
            agents=self._index.agents if shown else [],
        )
        return HTMLResponse(html, headers=_HEADERS)

    def _rows(self) -> list[_Row]:
        rows = [self._row(function) for function in self._index.functions]
        order = {HTTP_TRIGGER: 0, ORCHESTRATION: 1}
        kept = [row for row in rows if not row.name.startswith("BuiltIn__")]
        return sorted(kept, key=lambda row: (order.get(row.trigger, 2), row.trigger, row.name))

    def _row(self, function: Function) -> _Row:
        trigger = function.trigger.type
        if trigger == ORCHESTRATION:
            path = f"{WEBHOOK_PATH}/orchestrators/{quote(function.durable_name, safe='')}"
            return _Row(function.durable_name, trigger, "POST", path, is_link=False)
        route = function.http_route(self._facts.route_prefix)
        if route is None:
            return _Row(function.durable_name, trigger, "", "", is_link=False)
        methods = function.http_methods
        is_link = "{" not in route and (not methods or "GET" in methods)
        return _Row(function.name, trigger, ", ".join(methods) or "any", f"/{route}", is_link)
