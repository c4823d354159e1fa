"""The page at `/`: what runs here, in plain HTML."""

from collections.abc import Iterable
from html import escape

from starlette.responses import HTMLResponse

from local_runtime.functions_host.app.function_index import (
    HTTP_TRIGGER,
    ORCHESTRATION,
    FunctionIndex,
)
from local_runtime.functions_host.webhook.management_urls import WEBHOOK_PATH


def home_page(index: FunctionIndex, task_hub: str, dashboard_url: str | None) -> HTMLResponse:
    """Return a page that names the app's orchestrations, HTTP functions and agents."""
    starts = [
        f"POST {WEBHOOK_PATH}/orchestrators/{name}"
        for name in index.known(ORCHESTRATION)
        if not name.startswith("BuiltIn__")
    ]
    http = [function.name for function in index.functions if function.trigger.type == HTTP_TRIGGER]
    dashboard = f'<p><a href="{escape(dashboard_url)}">Dashboard</a></p>' if dashboard_url else ""
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Functions host</title>'
        "<h1>The Functions host is running</h1>"
        f"<p>Task hub: {escape(task_hub)}</p>{dashboard}"
        + _section("Start an orchestration", starts)
        + _section("HTTP functions", http)
        + _section("Agents", index.agents)
        + "</html>"
    )


def _section(title: str, items: Iterable[str]) -> str:
    entries = "".join(f"<li><code>{escape(item)}</code></li>" for item in items)
    return f"<h2>{title}</h2><ul>{entries}</ul>" if entries else ""
