"""HTTP functions of every shape: bodies, headers, routes, limits, and many at a time."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor, as_completed

import httpx
import pytest
from host_process import APPS, Part, running_host

LIMIT = 1_000_000
THREADS = 4
OUTSTANDING = 20


@pytest.fixture(scope="module")
def shapes(scheduler):
    environ = {
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(LIMIT),
        "PYTHON_THREADPOOL_THREAD_COUNT": str(THREADS),
        "AzureFunctionsJobHost__extensions__http__maxOutstandingRequests": str(OUTSTANDING),
        "AzureFunctionsJobHost__extensions__http__maxConcurrentRequests": str(OUTSTANDING - 1),
    }
    with running_host(APPS / "http_shapes", scheduler, environ=environ) as host:
        yield host


@pytest.fixture
def http(shapes) -> httpx.Client:
    return shapes[1]


@pytest.fixture
def part(shapes) -> Part:
    return shapes[0]


def test_every_byte_comes_back(http):
    body = bytes(range(256)) * 1000

    reply = http.post("/mirror", content=body, headers={"Content-Type": "image/png"})

    assert reply.content == body
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["content-length"] == str(len(body))


def test_body_in_chunks_is_put_together(http):
    assert http.put("/mirror", content=iter([b"a", b"\x00b" * 70_000, b"c"])).content == (
        b"a" + b"\x00b" * 70_000 + b"c"
    )


def test_values_that_come_several_times_are_joined_with_commas(http):
    reply = http.get(
        "/seen?a=1&b=x%26y&A=2&empty=&c=%C3%BC&a=3",
        headers=[("X-Many", "1"), ("x-many", "2"), ("X-Empty", "")],
    )

    seen = reply.json()
    assert seen["query"] == {"a": "1,2,3", "b": "x&y", "c": "ü"}
    assert seen["headers"]["x-many"] == "1,2"
    assert seen["headers"]["x-empty"] == ""
    assert seen["url"] == str(reply.request.url)


def test_several_cookies_keep_their_attributes(http):
    assert http.get("/cookies").headers.get_list("set-cookie") == [
        "a=1; path=/; secure; httponly; samesite=strict",
        "b=2; expires=Wed, 21 Oct 2037 07:28:00 GMT",
        "c=3; domain=localhost; max-age=60",
    ]


def test_custom_headers_of_host_json_are_in_every_answer_of_a_function(http):
    assert http.get("/quick").headers["x-content-type-options"] == "nosniff"
    assert http.get("/broken").headers["x-content-type-options"] == "nosniff"


def test_head_has_the_headers_of_the_answer_and_no_body(http):
    reply = http.head("/quick")

    assert (reply.status_code, reply.headers["content-length"], reply.content) == (200, "5", b"")
    assert http.get("/quick").text == "quick"  # on the same connection


@pytest.mark.parametrize("code", [204, 304])
def test_answer_without_a_body_has_none(http, code):
    reply = http.get(f"/status/{code}")

    assert (reply.status_code, reply.content) == (code, b"")
    assert http.get("/quick").text == "quick"


@pytest.mark.parametrize("code", [200, 299, 404, 418, 500, 599])
def test_status_code_is_the_functions(http, code):
    assert (http.get(f"/status/{code}").status_code, http.get("/quick").text) == (code, "quick")


@pytest.mark.parametrize(
    "path",
    ["status/0", "status/101", "status/999", "header?value=a%0d%0aX:1",
     "header?value=%E2%82%AC"],
)  # fmt: skip
def test_answer_that_cannot_be_sent_is_an_empty_500(http, part, path):
    reply = http.get(f"/{path}")

    assert (reply.status_code, reply.content) == (500, b"")
    part.wait_for_log("its response cannot be sent")
    assert http.get("/quick").text == "quick"


def test_length_that_a_function_claims_does_not_break_its_answer(http):
    assert http.get("/wrong_length").text == "text"


def test_trace_of_an_exception_is_in_the_log_only(http, part):
    reply = http.get("/broken")

    assert (reply.status_code, reply.content) == (500, b"")
    assert "secret" not in str(reply.headers)
    part.wait_for_log('raise LookupError("secret of the app")')


@pytest.mark.parametrize(
    ("path", "text"),
    [("items/7", "number 7"), ("items/-7", "number -7"), ("items/abc", "name abc"),
     ("items/123-abc", "code 123-abc"), ("page", "1 None"), ("page/3", "3 None"),
     ("page/3/big", "3 big"), ("PAGE/3/", "3 None"), ("quick/", "quick")],
)  # fmt: skip
def test_constraints_choose_the_function(http, path, text):
    assert http.get(f"/{path}").text == text


@pytest.mark.parametrize(
    "path",
    ["items/99999999999", "items/a", "items/abcde", "items/12-abc", "page/x", "items//7",
     "api/quick", "quick//"],
)  # fmt: skip
def test_what_no_constraint_takes_is_a_404(http, path):
    assert (http.get(f"/{path}").status_code, http.get(f"/{path}").content) == (404, b"")


def test_wrong_verb_is_a_404(http):
    assert http.get("/mirror").status_code == 404
    assert http.request("PATCH", "/mirror").status_code == 404


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "nonsense", "a/b; charset=\x7e"])
def test_content_type_does_not_decide_how_a_body_is_read(http, kind):
    reply = http.post("/json", content=b'{"a": [1]}', headers={"Content-Type": kind})

    assert reply.json() == {"a": [1]}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_body_that_is_no_json_is_for_the_function_to_judge(http, body):
    reply = http.post("/json", content=body, headers={"Content-Type": "application/json"})

    assert reply.status_code in (400, 500)
    assert http.get("/quick").text == "quick"


def test_body_up_to_the_limit_is_taken(http):
    assert len(http.post("/mirror", content=b"x" * LIMIT).content) == LIMIT


def test_body_above_the_limit_is_a_413_before_it_is_sent(http):
    url = http.base_url
    with socket.create_connection((url.host, url.port), timeout=30) as client:
        head = f"POST /mirror HTTP/1.1\r\nHost: x\r\nContent-Length: {LIMIT + 1}\r\n\r\n"
        client.sendall(head.encode())

        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_body_in_chunks_above_the_limit_is_a_413(http):
    assert http.post("/mirror", content=iter([b"x" * 400_000] * 3)).status_code == 413
    assert http.get("/quick").text == "quick"


def test_webhook_has_the_same_limit(http):
    path = "/runtime/webhooks/durabletask/orchestrators/any"

    assert http.post(path, content=b"1" * (LIMIT + 1)).status_code == 413


def test_functions_that_block_hold_up_neither_each_other_nor_coroutines(http):
    with ThreadPoolExecutor(THREADS + 1) as callers:
        url = str(http.base_url)
        blocked = [callers.submit(httpx.get, f"{url}/block", timeout=60) for _ in range(THREADS)]
        assert http.get(f"/await?count={THREADS}").text == "they run"

        # All threads are taken: a coroutine is answered, and one more waits for a thread.
        waiting = callers.submit(httpx.get, f"{url}/quick", timeout=60)
        assert http.get("/seen").json()["method"] == "GET"
        assert not waiting.done()

        http.get(f"/release?count={THREADS}")
        assert [call.result().text for call in blocked] == ["let go"] * THREADS
        assert waiting.result().text == "quick"


def test_requests_beyond_the_outstanding_ones_are_a_429(http, tmp_path):
    there = tmp_path / "there"
    url = f"{http.base_url}/until?file={there}"
    with ThreadPoolExecutor(OUTSTANDING + 1) as callers:
        # Of those that are taken, one may not run yet, and waits.
        calls = [callers.submit(httpx.get, url, timeout=60) for _ in range(OUTSTANDING + 1)]
        refused = next(as_completed(calls))
        there.touch()

    assert (refused.result().status_code, refused.result().content) == (429, b"")
    taken = [call.result().text for call in calls if call is not refused]
    assert taken == ["it is there"] * OUTSTANDING
    assert http.get("/quick").text == "quick"


def test_a_thousand_requests_at_once_are_all_answered(http):
    url = str(http.base_url)
    with ThreadPoolExecutor(16) as callers, httpx.Client(timeout=60) as client:
        bodies = [json.dumps(number).encode() for number in range(1000)]
        replies = callers.map(lambda body: client.post(f"{url}/json", content=body).content, bodies)

        assert list(replies) == bodies


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/seen/../seen/a", {"rest": "a"}),
        ("/x/%2e%2E/seen/a/./b", {"rest": "a/b"}),
        ("/seen/a//b", {"rest": "a//b"}),
        ("/seen/%2e%2e%2fetc", {"rest": "..%2fetc"}),
        ("/seen/%zz%4", {"rest": "%zz%4"}),
        ("/seen/%ff%C3%BC", {"rest": "%FFü"}),
        ("/seen/a%0Ab", {"rest": "a\nb"}),
        ("http://elsewhere/seen/a", {"rest": "a"}),
        ("/seen/" + "a" * 8000, {"rest": "a" * 8000}),
    ],
)
def test_path_is_made_plain_before_it_is_matched(http, target, route):
    head, body = exchange(http, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert head.startswith("HTTP/1.1 200 ")
    assert json.loads(body)["route"] == route


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/seen/../../../etc/passwd", 404), ("/seen/%2e%2e/quick/../other", 404),
        ("/seen/..", 200), ("/%2e%2e/%2e%2e/", 200), ("//seen", 404), ("/seen/%00", 400),
        ("*", 404),
        ("/seen/" + "a" * 9000, 414), ("/seen/a b", 400), ("seen", 400), ("/seen/\x01", 400),
        ("http://", 400), ("/x/../runtime/webhooks/durabletask/nothing", 404),
    ],
)  # fmt: skip
def test_path_that_leads_nowhere_is_refused(http, target, code):
    head, _ = exchange(http, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert head.startswith(f"HTTP/1.1 {code} ")
    assert http.get("/quick").text == "quick"


def exchange(http: httpx.Client, request: str) -> tuple[str, str]:
    url = http.base_url
    with socket.create_connection((url.host, url.port), timeout=30) as client:
        client.sendall(request.encode("latin-1"))
        reply = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = reply.decode("latin-1").partition("\r\n\r\n")
    return head, body
