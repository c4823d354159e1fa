"""POST orchestrators/{name}/{id?}: codes, headers, and fields in their order."""

import http.client
import re

import pytest
from host_process import WEBHOOK, finished

START = f"{WEBHOOK}/orchestrators"
HUB = "taskHub=Samples&connection=AzureWebJobsStorage"


def test_start_answers_202_with_location_and_retry_after(host):
    reply = host.post(f"{START}/chaining")

    assert reply.status_code == 202
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert reply.headers["location"] == reply.json()["statusQueryGetUri"]
    assert reply.headers["retry-after"] == "10"


def test_start_answers_management_urls_in_the_contracts_order(host):
    reply = host.post(f"{START}/chaining/urls-1")

    base = f"{host.base_url.join(WEBHOOK)}/instances/urls-1"
    assert list(reply.json().items()) == [
        ("id", "urls-1"),
        ("statusQueryGetUri", f"{base}?{HUB}"),
        ("sendEventPostUri", f"{base}/raiseEvent/{{eventName}}?{HUB}"),
        ("terminatePostUri", f"{base}/terminate?reason={{text}}&{HUB}"),
        ("purgeHistoryDeleteUri", f"{base}?{HUB}"),
        ("restartPostUri", f"{base}/restart?{HUB}"),
        ("suspendPostUri", f"{base}/suspend?reason={{text}}&{HUB}"),
        ("resumePostUri", f"{base}/resume?reason={{text}}&{HUB}"),
    ]
    assert reply.content.startswith(b'{"id":"urls-1","statusQueryGetUri":"http')


def test_start_without_id_makes_32_hex_digits(start):
    assert re.fullmatch("[0-9a-f]{32}", start("chaining")["id"])


def test_start_with_id_uses_it_as_it_was_before_url_encoding(host):
    reply = host.post(f"{START}/chaining/a%20b%2Bc")

    assert reply.json()["id"] == "a b+c"
    assert "/instances/a%20b%2Bc?" in reply.headers["location"]
    assert finished(host, reply.json())["instanceId"] == "a b+c"


def test_status_url_can_ask_for_500_on_failure(host):
    reply = host.post(f"{START}/chaining?returnInternalServerErrorOnFailure=true")

    url = reply.json()["statusQueryGetUri"]
    assert url.endswith(f"{HUB}&returnInternalServerErrorOnFailure=true")


@pytest.mark.parametrize("path", ["ORCHESTRATORS/Chaining", "orchestrators/CHAINING/"])
def test_paths_and_function_names_are_matched_without_case(host, path):
    reply = host.post(f"{WEBHOOK}/{path}")

    assert reply.status_code == 202
    assert finished(host, reply.json())["name"] == "chaining"


def test_unknown_orchestrator_answers_400_that_lists_the_known_ones(host):
    reply = host.post(f"{START}/nobody")

    assert reply.status_code == 400
    assert list(reply.json()) == ["Message", "ExceptionMessage", "ExceptionType", "StackTrace"]
    assert reply.json()["Message"] == "One or more of the arguments submitted is incorrect"
    text = reply.json()["ExceptionMessage"]
    assert "The function 'nobody' doesn't exist, is disabled, or is not an orchestrator" in text
    assert "'approval', 'chaining'" in text


@pytest.mark.parametrize("body", [b"{bad", b"'x'", b"NaN", b"\xff", b" ", b"[" * 100_000])
def test_invalid_json_answers_400(host, body):
    reply = host.post(f"{START}/chaining", content=body)

    assert (reply.status_code, reply.json()["Message"]) == (400, "Invalid JSON content")


@pytest.mark.parametrize(
    "instance_id", ["@x", "a%2Fb", "a%5Cb", "a%23b", "a%3Fb", "a%0Ab", "x" * 257]
)
def test_bad_instance_id_answers_400(host, instance_id):
    reply = host.post(f"{START}/chaining/{instance_id}")

    assert reply.status_code == 400
    assert "instance IDs must not" in reply.json()["ExceptionMessage"]


def test_running_id_answers_409(host, start):
    start("approval", instance_id="twice")

    reply = host.post(f"{START}/approval/twice")

    assert (reply.status_code, list(reply.json())) == (409, ["Message"])
    assert "twice" in reply.json()["Message"]


def test_finished_id_is_replaced(run):
    run("fan_out_fan_in", 2, "again")

    assert run("fan_out_fan_in", 3, "again")["output"] == 5


def test_body_is_read_as_json_whatever_its_type(host):
    reply = host.post(
        f"{START}/two_arguments?timeout=20",
        content='"Zoë"'.encode(),
        headers={"content-type": "x/y"},
    )

    assert reply.json() == "Hello Zoë!"


def test_waiting_start_answers_200_with_the_bare_output(host):
    reply = host.post(f"{START}/fan_out_fan_in?timeout=20&pollingInterval=1", json=4)

    assert (reply.status_code, reply.content) == (200, b"14")


def test_waiting_start_answers_202_when_time_is_up(host):
    reply = host.post(f"{START}/approval?timeout=0.05")

    assert (reply.status_code, reply.headers["retry-after"]) == (202, "10")


@pytest.mark.parametrize(
    ("flag", "code"), [("", 200), ("&returnInternalServerErrorOnFailure=true", 500)]
)
def test_waiting_start_of_a_failure_answers_its_status(host, flag, code):
    reply = host.post(f"{START}/failing?timeout=20{flag}", json="explode")

    assert (reply.status_code, reply.json()["runtimeStatus"]) == (code, "Failed")


def test_polling_interval_above_timeout_answers_400_and_starts_nothing(host):
    reply = host.post(f"{START}/approval/impatient?timeout=1&pollingInterval=2")

    assert reply.status_code == 400
    assert host.get(f"{WEBHOOK}/instances/impatient").status_code == 404


def test_management_urls_follow_the_host_the_client_called(host):
    reply = host.post(f"{START}/chaining", headers={"host": "workflows.test:1234"})

    assert reply.headers["location"].startswith("http://workflows.test:1234/runtime/webhooks/")


def test_instances_of_another_task_hub_are_apart(host):
    started = host.post(f"{START}/approval/elsewhere?taskHub=Other").json()

    assert "taskHub=Other" in started["statusQueryGetUri"]
    assert host.get(started["statusQueryGetUri"]).json()["instanceId"] == "elsewhere"
    assert host.get(f"{WEBHOOK}/instances/elsewhere").status_code == 404


@pytest.mark.parametrize(
    ("verb", "path"),
    [("GET", "orchestrators/chaining"), ("PUT", "instances/x"), ("POST", "instances"),
     ("GET", "nothing"), ("GET", ""), ("POST", "instances//terminate")],
)  # fmt: skip
def test_no_such_route_answers_an_empty_404(host, verb, path):
    reply = host.request(verb, f"{WEBHOOK}/{path}")

    assert (reply.status_code, reply.content) == (404, b"")


def test_body_above_the_limit_answers_413(host):
    connection = http.client.HTTPConnection(host.base_url.host, host.base_url.port)
    connection.putrequest("POST", f"{START}/chaining")
    connection.putheader("content-length", str(100 * 1024 * 1024 + 1))
    connection.endheaders()

    assert connection.getresponse().status == 413
    connection.close()
