"""The page at `/`."""

import httpx
import pytest
from host_process import APPS, running_host

from tests.browser import open_browser

APP = APPS / "keyed"
DASHBOARD = 'http://localhost:8082/?a=1&b="2"'


@pytest.fixture(scope="module")
def host(scheduler):
    options = {"task_hub": "Home", "dashboard_url": DASHBOARD}
    with running_host(APP, scheduler, **options) as (_, host):
        yield host


def test_it_says_what_runs_and_how_to_call_it(host):
    reply = host.get("/")

    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    for text in (str(APP), "Home", "/v1/open", "/v1/Other/{id:int?}", "Counter", "remember",
                 "/runtime/webhooks/durabletask/orchestrators/waits", "not asked for"):  # fmt: skip
        assert text in reply.text
    assert '<a href="/v1/open">' in reply.text
    assert "BuiltIn__" not in reply.text


def test_it_runs_and_loads_nothing(host):
    reply = host.get("/")

    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "<script" not in reply.text


def test_names_of_the_app_are_text(host):
    page = host.get("/").text

    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "&amp;b=&#34;2&#34;" in page


@pytest.mark.parametrize("name", ["evil.test", "app.test:7071"])
def test_to_another_name_it_only_says_that_the_host_runs(host, name):
    reply = host.get("/", headers={"host": name})

    assert reply.status_code == 200
    assert "is running" in reply.text
    assert "waits" not in reply.text
    assert "Home" not in reply.text


def test_with_keys_it_tells_only_the_master_key_what_runs(scheduler):
    options = {"task_hub": "Home", "enable_auth": True}
    with running_host(APP, scheduler, **options) as (_, host):
        reply = host.get("/")

    assert (reply.status_code, "waits" in reply.text) == (200, False)
    assert "/admin/functions" in reply.text


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_readable_in_a_browser(host: httpx.Client, scheme, tmp_path):
    async with open_browser() as browser:
        page = await browser.new_page(color_scheme=scheme, viewport={"width": 900, "height": 900})
        problems = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        await page.goto(str(host.base_url))
        title = await page.title()
        images = await page.locator("img").count()
        overflow = await page.evaluate("document.body.scrollWidth - window.innerWidth")
        await page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)

    assert (title, images, problems) == ("Functions host", 0, [])
    assert overflow <= 0
