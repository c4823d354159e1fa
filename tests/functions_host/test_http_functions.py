"""HTTP functions: routes, verbs, what comes in and what goes out."""

import json

import pytest
from host_process import finished


def test_function_sees_the_whole_request(host):
    reply = host.post("/api/echo/hi/3?a=1&a=2&b=", content="body", headers={"x-test": "t"})

    assert reply.json() == {
        "method": "POST",
        "url": str(reply.request.url),
        "params": {"a": "1,2"},
        "route": {"word": "hi", "times": "3"},
        "header": "t",
        "body": "body",
    }


def test_response_keeps_code_headers_and_cookies(host):
    reply = host.get("/api/echo/hi")

    assert reply.status_code == 201
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-echo"] == "yes"
    assert reply.headers.get_list("set-cookie") == [
        "taste=sweet; path=/; max-age=60; httponly; samesite=lax",
        "other=1",
    ]


def test_returned_string_is_plain_text(host):
    reply = host.get("/api/plain")

    assert (reply.status_code, reply.text) == (200, "grüße")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


def test_returned_nothing_answers_204(host):
    reply = host.get("/api/silent")

    assert (reply.status_code, reply.content) == (204, b"")


def test_exception_answers_an_empty_500_and_is_logged_with_its_trace(samples):
    part, host = samples

    reply = host.get("/api/broken")

    assert (reply.status_code, reply.content) == (500, b"")
    part.wait_for_log('raise RuntimeError("broken on purpose")')


@pytest.mark.parametrize(
    ("path", "text"),
    [("files/a/b", "a/b"), ("files", "(none)"), ("files/", "(none)"), ("FILES/A", "A"),
     ("files/a%2Fb%20c", "a%2Fb c"), ("files/special", "special")],
)  # fmt: skip
def test_catch_all_route_takes_what_no_exact_one_does(host, path, text):
    assert host.get(f"/api/{path}").text == text


@pytest.mark.parametrize(
    ("verb", "path"),
    [("GET", "api/echo/hi/three"), ("PUT", "api/echo/hi"), ("GET", "api/echo"), ("GET", "plain"),
     ("GET", "api/on_message"), ("GET", "api"), ("POST", ""), ("GET", "admin/nothing")],
)  # fmt: skip
def test_no_route_or_wrong_verb_answers_an_empty_404(host, verb, path):
    reply = host.request(verb, f"/{path}")

    assert (reply.status_code, reply.content) == (404, b"")


def test_function_starts_an_orchestration_with_urls_that_work(host):
    reply = host.post("/api/orchestrators/fan_out_fan_in", json=3)

    assert (reply.status_code, reply.headers["retry-after"]) == (202, "10")
    assert "rewindPostUri" in reply.json()
    assert reply.headers["location"] == reply.json()["statusQueryGetUri"]
    assert finished(host, reply.json())["output"] == 5


def test_management_urls_of_the_sdk_end_an_instance(host):
    started = host.post("/api/orchestrators/approval").json()

    host.post(started["terminatePostUri"].replace("{text}", "done"))

    assert finished(host, started)["output"] == "done"


def test_synchronous_function_waits_for_an_orchestration(host):
    assert host.get("/api/wait/chaining").json() == [
        "Hello Tokyo!",
        "Hello Seattle!",
        "Hello London!",
    ]


def test_entity_is_signalled_and_read(host):
    assert host.get("/api/counter/clicks").status_code == 404
    for amount in (2, 3):
        assert host.post(f"/api/counter/clicks/{amount}").status_code == 202

    reply = host.get("/api/counter/clicks")
    while reply.status_code == 404 or reply.json()["value"] != 5:
        reply = host.get("/api/counter/clicks")

    assert json.loads(reply.text) == {"value": 5}


def test_home_page_says_what_runs(host):
    reply = host.get("/")

    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "/orchestrators/chaining" in reply.text
    assert "BuiltIn__" not in reply.text
