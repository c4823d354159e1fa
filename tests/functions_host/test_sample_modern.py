"""An app in the style of azure-functions-durable 2.x does all it should, driven over HTTP."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sample_service import WORKERS, Sample, sample


@pytest.fixture(scope="module", params=WORKERS, ids="workers={}".format)
def workers(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def modern(workers: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    with sample("modern", tmp_path_factory.mktemp("data"), workers) as app:
        yield app


# --- Entities ----------------------------------------------------------------------------------


def test_transfers_under_locks_never_overdraw(modern: Sample):
    wanted = {"balance": 50, "amount": 10, "transfers": 8}

    assert modern.run("transfers", wanted) == {"transferred": 5, "left": 0, "come": 50}


def test_failed_operation_of_an_entity_reaches_its_caller(modern: Sample):
    assert modern.run("overdraw", 5) is True


def test_entity_is_signalled_and_read_by_clients(modern: Sample):
    assert modern.http.get("/accounts/savings").status_code == 404
    for amount in (5, 7):
        assert modern.http.post("/accounts/savings/deposit", json=amount).status_code == 202

    while (reply := modern.http.get("/accounts/savings")).text != "12":
        assert reply.text in ("", "5"), reply.text
    assert modern.http.get("/accounts", params={"prefix": "sav"}).json() == ["savings"]


def test_entity_starts_an_orchestration(modern: Sample):
    modern.http.post("/accounts/audited/deposit", json=3)
    modern.http.post("/accounts/audited/audit", json="audit-1")

    status = modern.end_of("audit-1")

    assert status["output"] == {"audited": 3}


def test_entity_is_deleted(modern: Sample):
    modern.http.post("/accounts/gone/deposit", json=1)
    while modern.http.get("/accounts/gone").status_code == 404:
        pass
    modern.http.post("/accounts/gone/delete", json={})

    while modern.http.get("/accounts/gone").status_code == 200:
        pass


# --- Types, retries, failures ------------------------------------------------------------------


def test_objects_go_to_activities_and_come_back(modern: Sample):
    started = modern.start("shop", ["tea", "cake"])

    status = modern.end(started)

    assert status["output"] == {"tea": 31, "cake": 41}
    assert status["customStatus"] == {"receipts": 2}


def test_policy_retries_an_activity(modern: Sample, tmp_path: Path):
    assert modern.run("deliver", str(tmp_path)) == 3


def test_failure_of_an_activity_goes_up_through_its_sub_orchestration(modern: Sample):
    assert modern.run("refused")[1] is True


def test_synchronous_client_waits_for_the_output(modern: Sample):
    reply = modern.http.post("/run/shop", json=["tea"])

    assert (reply.status_code, reply.json()) == (200, {"tea": 31})


# --- Events ------------------------------------------------------------------------------------


def test_events_are_kept_when_an_orchestration_begins_anew(modern: Sample):
    started = modern.start("gather", {"count": 5})
    for number in range(5):
        modern.raise_event(started, "item", number)

    assert sorted(modern.end(started)["output"]) == [0, 1, 2, 3, 4]


def test_orchestrations_send_events_to_each_other(modern: Sample):
    other = modern.http.post("/start/pong", json={}).json()

    assert modern.run("ping", other["id"]) == f"hello from {other['id']}"
    assert modern.end(other)["output"] == "answered"


def test_timer_and_event_race(modern: Sample):
    assert modern.run("race", 10) == "late"
    started = modern.http.post("/start/race", json=60_000).json()
    modern.http.post(f"/instances/{started['id']}/answer", json="quick")

    assert modern.end(started)["output"] == "quick"


def test_client_suspends_resumes_and_purges(modern: Sample):
    started = modern.http.post("/start/race", json=60_000).json()
    url = f"/instances/{started['id']}"
    modern.http.post(f"{url}/suspend", json={})
    modern.status_once(started, lambda status: status["runtimeStatus"] == "Suspended")
    modern.http.post(f"{url}/answer", json="kept")
    modern.http.post(f"{url}/resume", json={})

    assert modern.end(started)["output"] == "kept"
    assert modern.http.post(f"{url}/purge", json={}).text == "1"
    assert modern.http.get(started["statusQueryGetUri"]).status_code == 404


# --- Durable HTTP ------------------------------------------------------------------------------


class Service(BaseHTTPRequestHandler):
    """A service that takes its time: 202 until it has been asked twice."""

    polls = 0

    def do_GET(self) -> None:
        if self.path == "/later" or (self.path == "/poll" and Service.polls < 2):
            Service.polls += self.path == "/poll"
            self.answer(202, "wait", {"Location": "/poll", "Retry-After": "0"})
        elif self.path == "/poll":
            self.answer(200, f"done {self.headers['X-Test']}")
        else:
            self.answer(404, "nothing here")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(201, f"took {body.decode()}")

    def answer(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("method", "path", "content", "expected"),
    [
        ("GET", "/later", None, {"status": 200, "content": "done yes"}),
        ("GET", "/nothing", None, {"status": 404, "content": "nothing here"}),
        ("POST", "/things", {"a": 1}, {"status": 201, "content": 'took {"a": 1}'}),
    ],
)
def test_call_http_follows_the_service(modern: Sample, service, method, path, content, expected):
    Service.polls = 0
    wanted = {"method": method, "url": service + path, "content": content}

    assert modern.run("fetch", wanted) == expected
