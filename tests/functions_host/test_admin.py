"""/admin on a host that asks for no keys, and that a web page of somebody else cannot use it."""

from collections.abc import Iterator

import httpx
import pytest
from host_process import APPS, WEBHOOK, Part, running_host
from playwright.async_api import async_playwright

from tests.browser import find_browser

APP = APPS / "keyed"


@pytest.fixture(scope="module")
def open_host(scheduler) -> Iterator[tuple[Part, httpx.Client]]:
    with running_host(APP, scheduler, task_hub="Admin") as host:
        yield host


@pytest.fixture
def host(open_host) -> httpx.Client:
    return open_host[1]


def test_status_says_that_the_host_runs(host):
    status = host.get("/admin/host/status").json()

    assert list(status) == [
        "id", "state", "version", "versionDetails", "platformVersion", "instanceId",
        "computerName", "processUptime", "functionAppContentEditingState", "backgroundTasks",
    ]  # fmt: skip
    assert (status["state"], status["version"]) == ("Running", "4.0.0.0")
    later = host.get("/admin/host/status").json()
    assert later["processUptime"] >= status["processUptime"] >= 0
    assert later["id"] == status["id"]


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_ping_answers_an_empty_200(host, verb):
    reply = host.request(verb, "/admin/host/ping")

    assert (reply.status_code, reply.content) == (200, b"")


def test_functions_are_described_as_the_real_host_does(host):
    functions = {one["name"]: one for one in host.get("/admin/functions").json()}
    base = str(host.base_url)

    assert functions["other"] == {
        "name": "other",
        "script_root_path_href": None,
        "script_href": f"{base}/admin/vfs/function_app.py",
        "config_href": None,
        "test_data_href": None,
        "href": f"{base}/admin/functions/other",
        "invoke_url_template": f"{base}/v1/other/{{id:int?}}",
        "language": "python",
        "config": {
            "name": "other",
            "entryPoint": "other",
            "scriptFile": "function_app.py",
            "language": "python",
            "functionDirectory": str(APP),
            "bindings": [
                {"direction": "IN", "type": "httpTrigger", "name": "req", "authLevel": "FUNCTION",
                 "route": "Other/{id:int?}", "methods": ["GET", "POST"]},
                {"direction": "OUT", "type": "http", "name": "$return"},
            ],
        },
        "files": None,
        "test_data": None,
        "isDisabled": False,
        "isDirect": True,
        "isProxy": False,
    }  # fmt: skip
    assert functions["remember"]["invoke_url_template"] is None
    assert "BuiltIn__HttpActivity" in functions
    assert host.get("/admin/functions/OTHER").json() == functions["other"]
    assert host.get("/admin/functions/other/status").json() == {}


@pytest.mark.parametrize(
    ("verb", "path"),
    [("GET", "functions/nothing"), ("GET", "functions/nothing/status"), ("POST", "host/drain"),
     ("GET", "functions/nothing/keys"), ("POST", "host/restart"), ("POST", "host/synctriggers"),
     ("GET", "vfs/function_app.py"), ("PUT", "functions/other"), ("DELETE", "functions/other"),
     ("GET", ""), ("GET", "host"), ("GET", "host/nothing"), ("PUT", "host/state"),
     ("GET", "functions/%2e%2e%2fother"), ("POST", "host/status")],
)  # fmt: skip
def test_what_is_not_built_answers_an_empty_404(host, verb, path):
    reply = host.request(verb, f"/admin/{path}")

    assert (reply.status_code, reply.content) == (404, b"")


@pytest.mark.parametrize(
    ("name", "given", "seen"),
    [("remember", "plain text", "'plain text'"), ("Remember", '{"a": 1}', "{'a': 1}"),
     ("remember", {"b": 2}, "{'b': 2}"), ("remember", None, "''"),
     ("guarded", "a body", "POST a body")],
)  # fmt: skip
def test_a_function_is_run_by_hand(host, name, given, seen):
    reply = host.post(f"/admin/functions/{name}", json={"input": given})

    assert (reply.status_code, reply.content) == (202, b"")
    while seen not in host.get("/v1/open").json():
        pass


def test_an_empty_object_is_enough_to_run_a_function(host):
    assert host.post("/admin/functions/other", content=b"{}").status_code == 202


def test_a_failure_of_a_function_run_by_hand_is_logged(open_host):
    part, host = open_host

    assert host.post("/admin/functions/guarded", json={"input": "raise"}).status_code == 202
    part.wait_for_log("function guarded, run by hand, failed: RuntimeError: as it was told")


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [("other", b"", 400), ("other", b"{", 400), ("other", b"null", 400), ("other", b"[]", 400),
     ("other", b"\xff", 400), ("other", b"[" * 100_000, 400), ("nothing", b"{}", 404),
     ("waits", b"{}", 400), ("counter", b'{"input": "1"}', 400)],
)  # fmt: skip
def test_what_cannot_be_run_by_hand_is_refused(host, name, body, code):
    assert host.post(f"/admin/functions/{name}", content=body).status_code == code


# --- Web pages of others -----------------------------------------------------------------------

START = f"POST {WEBHOOK}/orchestrators/waits"
RUN = "POST /admin/functions/other"
LIST = "GET /admin/functions"
EVIL, MINE = "http://evil.test", "http://localhost:3000"


@pytest.mark.parametrize(
    ("request_line", "headers", "code"),
    [
        # Programs: curl, SDKs, a proxy in front.
        (START, {}, 202),
        (START, {"host": "workflows.test:1234"}, 202),
        (START, {"x-forwarded-host": "example.test", "x-forwarded-proto": "https"}, 202),
        (RUN, {}, 202),
        (LIST, {"host": "127.0.0.1"}, 200),
        (LIST, {"host": "LOCALHOST:7071"}, 200),
        (LIST, {"host": "app.localhost:7071"}, 200),
        (LIST, {"host": "[::1]:7071"}, 200),
        (LIST, {"host": "172.17.0.1:7071"}, 200),
        (LIST, {"host": "", "origin": EVIL}, 200),
        # Pages of this machine.
        (START, {"origin": MINE}, 202),
        (START, {"origin": "http://127.0.0.1:5173"}, 202),
        (RUN, {"origin": "http://[::1]:3000"}, 202),
        (RUN, {"host": "172.17.0.1:7071", "origin": "http://172.17.0.1:7071"}, 202),
        # A page of somebody else that posts here, as a form does.
        (START, {"origin": EVIL}, 403),
        (START, {"origin": "null"}, 403),
        (START, {"origin": "http://localhost.evil.test"}, 403),
        (START, {"origin": "http://203.0.113.5"}, 403),
        (START, {"origin": "http://[broken"}, 403),
        (START, {"origin": EVIL, "x-forwarded-host": "evil.test"}, 403),
        (f"DELETE {WEBHOOK}/instances?createdTimeFrom=2020-01-01", {"origin": EVIL}, 403),
        (f"POST {WEBHOOK}/instances/x/terminate", {"origin": EVIL}, 403),
        (RUN, {"origin": EVIL}, 403),
        ("POST /admin/host/keys/_master", {"origin": EVIL}, 403),
        # A page of somebody else whose name resolves to this machine.
        (START, {"host": "evil.test:7071", "origin": f"{EVIL}:7071"}, 403),
        (LIST, {"host": "evil.test:7071"}, 403),
        (LIST, {"host": "localhost.evil.test"}, 403),
        (LIST, {"host": "evil.test", "x-forwarded-host": "localhost"}, 403),
        ("GET /admin/host/systemkeys/durabletask_extension", {"host": "evil.test"}, 403),
        (RUN, {"host": "evil.test"}, 403),
        # Functions are the app's own, wherever they are called from.
        ("GET /v1/open", {"host": "evil.test", "origin": EVIL}, 200),
        ("POST /v1/guarded", {"origin": EVIL}, 200),
    ],
)
def test_a_page_of_somebody_else_changes_nothing(host, request_line, headers, code):
    verb, path = request_line.split()

    reply = host.request(verb, path, headers=headers, content=b"{}")

    assert reply.status_code == code, reply.text
    if code == 403:
        assert "--enable-auth" in reply.text


def test_behind_a_trusted_proxy_a_page_may_call_its_own_origin(scheduler):
    settings = {
        "AzureFunctionsJobHost__extensions__durableTask__httpSettings__useForwardedHost": "true"
    }
    page = {
        "origin": "https://app.test",
        "x-forwarded-host": "app.test",
        "x-forwarded-proto": "https",
    }
    options = {"task_hub": "Admin", "environ": settings}
    with running_host(APP, scheduler, **options) as (_, host):
        start = f"{WEBHOOK}/orchestrators/waits"
        assert host.post(start, headers=page).status_code == 202
        assert host.post(start, headers={**page, "origin": EVIL}).status_code == 403
        # A page whose name was rebound to this machine can send the headers of a proxy.
        assert host.post(start, headers={**page, "host": "app.test"}).status_code == 403


@pytest.mark.browser
async def test_a_real_browser_gets_nowhere_from_elsewhere(host):
    program, environment = find_browser()
    port, status, instances = host.base_url.port, f"{WEBHOOK}/instances", ("rebound", "crossed")
    rules = "--host-resolver-rules=MAP evil.test 127.0.0.1"
    calls = f"""async () => {{
        const outcome = (url, options) =>
            fetch(url, options).then(reply => reply.status, () => "failed");
        const post = {{method: "POST", body: "{{}}"}};
        return {{
            list: await outcome("/admin/functions"),
            run: await outcome("/admin/functions/other", post),
            start: await outcome("{WEBHOOK}/orchestrators/waits/rebound", post),
            cross: await outcome("http://127.0.0.1:{port}{WEBHOOK}/orchestrators/waits/crossed",
                                 {{...post, mode: "no-cors"}}),
        }};
    }}"""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-dev-shm-usage", rules],
            env=environment or None,
        )
        page = await browser.new_page()
        await page.goto(f"http://evil.test:{port}/v1/open")
        outcomes = await page.evaluate(calls)
        started = [name for name in instances if host.get(f"{status}/{name}").status_code != 404]
        await page.goto(f"http://localhost:{port}/v1/open")
        own = await page.evaluate(calls)
        await browser.close()

    assert (outcomes["list"], outcomes["run"], outcomes["start"]) == (403, 403, 403)
    assert started == []
    # The same calls by a page of this machine: nothing else was in their way.
    assert {host.get(f"{status}/{name}").status_code for name in instances} == {202}
    assert (own["list"], own["run"], own["start"]) == (200, 202, 202)
