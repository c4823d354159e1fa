"""Fixtures: one runtime with a small app and a dashboard, shared by all tests here."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.browser import open_browser
from tests.service import WEBHOOK, Service, runtime


@pytest.fixture(scope="session")
def service(tmp_path_factory) -> Iterator[Service]:
    with runtime(tmp_path_factory.mktemp("runtime") / "data") as service:
        yield service


@pytest.fixture
def dashboard(service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url("Dashboard"), follow_redirects=True) as client:
        yield client


@pytest.fixture
def start(service) -> Callable[..., dict[str, str]]:
    """Starts an orchestration over the webhook; its management URLs."""

    def start(name: str, payload: object = None, instance_id: str = "") -> dict[str, str]:
        url = f"{service.url('Functions')}{WEBHOOK}/orchestrators/{name}/{instance_id}"
        reply = httpx.post(url, json=payload)
        assert reply.status_code == 202, reply.text
        return reply.json()

    return start


@pytest.fixture
def go() -> Callable[[dict[str, str]], None]:
    """Raises the event that the orchestration `waits` waits for."""

    def go(urls: dict[str, str]) -> None:
        url = urls["sendEventPostUri"].replace("{eventName}", "go")
        httpx.post(url, json="gone").raise_for_status()

    return go


@pytest.fixture
def ended(start) -> Callable[..., dict[str, str]]:
    """Runs an orchestration to its end; its management URLs."""

    def ended(name: str, payload: object = None, instance_id: str = "") -> dict[str, str]:
        urls = start(name, payload, instance_id)
        while httpx.get(urls["statusQueryGetUri"]).status_code == 202:
            pass
        return urls

    return ended


@pytest.fixture
async def page(service):
    """An empty page of a real browser, which fails the test for any error in its console."""
    async with open_browser() as browser:
        page = await browser.new_page(base_url=service.url("Dashboard"))
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        yield page
        assert errors == []
