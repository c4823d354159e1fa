"""HTTP functions that stream through the FastAPI extension."""

import socket

import httpx
import pytest
from host_process import APPS, WEBHOOK, Part, running_host

LIMIT = 5_000_000


@pytest.fixture(scope="module")
def streaming(scheduler):
    environ = {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(LIMIT)}
    with running_host(APPS / "streaming", scheduler, environ=environ) as host:
        yield host


@pytest.fixture
def http(streaming) -> httpx.Client:
    return streaming[1]


@pytest.fixture
def part(streaming) -> Part:
    return streaming[0]


def test_large_request_reaches_the_function_in_pieces(http):
    reply = http.post("/api/count", content=b"x" * LIMIT)

    assert reply.json() == {"several": True, "size": LIMIT}


def test_response_comes_before_the_request_has_ended(http):
    url = http.base_url
    with socket.create_connection((url.host, url.port), timeout=30) as client:
        head = b"POST /api/first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head + b"4\r\nhalf\r\n")
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            received += client.recv(1000)

    assert b"got " in received
    assert b"half" in received


def test_request_and_response_keep_their_parts(http):
    reply = http.get("/api/items/7?a=1&a=2", headers=[("x-many", "1"), ("x-many", "2")])

    assert reply.json() == {
        "route": {"id": "7"},
        "url": str(reply.request.url),
        "query": [["a", "1"], ["a", "2"]],
        "many": ["1", "2"],
    }
    assert len(reply.headers.get_list("set-cookie")) == 2
    assert reply.headers.get_list("x-many") == ["1", "2"]


def test_head_has_no_body(http):
    reply = http.head("/api/items/7")

    assert (reply.status_code, reply.content) == (200, b"")
    assert http.get("/api/text").json() == "from a thread"


@pytest.mark.parametrize(
    ("verb", "path"), [("GET", "api/items/x"), ("PUT", "api/items/7"), ("GET", "docs")]
)
def test_no_route_or_wrong_verb_is_a_404(http, verb, path):
    assert http.request(verb, f"/{path}").status_code == 404


def test_client_that_goes_away_ends_the_stream(http):
    with http.stream("GET", "/api/ticks") as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert next(reply.iter_bytes()).startswith(b"data: tick")

    assert http.get("/api/ended").json() == "ended"


def test_failure_before_the_first_byte_is_an_empty_500(http, part):
    reply = http.get("/api/broken")

    assert (reply.status_code, reply.content) == (500, b"")
    part.wait_for_log('raise LookupError("before the first byte")')


def test_failure_after_the_first_byte_breaks_the_response_off(http, part):
    with pytest.raises(httpx.RemoteProtocolError):
        http.get("/api/broken_stream")

    part.wait_for_log('raise LookupError("after the first byte")')


def test_verb_that_the_extension_does_not_know_is_not_left_waiting(http):
    assert http.request("PROPFIND", "/api/text").status_code == 405


def test_body_above_the_limit_is_a_413(http):
    assert http.post("/api/count", content=b"x" * (LIMIT + 1)).status_code == 413
    parts = iter([b"x" * 1_000_000] * 6)
    assert http.post("/api/count", content=parts).status_code == 413


def test_invocation_of_another_cannot_be_named(http):
    headers = {"x-ms-invocation-id": "another"}

    assert http.get("/api/text", headers=headers).json() == "from a thread"


def test_streaming_app_starts_orchestrations(http):
    started = http.post("/api/start/greet").json()
    status = http.get(f"{WEBHOOK}/instances/{started['id']}")
    while status.status_code == 202:
        status = http.get(f"{WEBHOOK}/instances/{started['id']}")

    assert status.json()["output"] == "Hello you!"


def test_function_that_exits_the_process_fails_alone(http):
    reply = http.get("/api/exits")

    assert (reply.status_code, reply.content) == (500, b"")
    assert http.get("/api/text").json() == "from a thread"
