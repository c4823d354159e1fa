"""terminate, suspend, resume, raiseEvent and purge: codes and bodies."""

import json

import pytest
from host_process import WEBHOOK, finished

INSTANCES = f"{WEBHOOK}/instances"
JSON = {"content-type": "application/json"}


def status_becomes(host, started, wanted):
    while host.get(started["statusQueryGetUri"]).json()["runtimeStatus"] != wanted:
        pass


@pytest.mark.parametrize("operation", ["terminate", "suspend", "resume", "raiseEvent/go"])
def test_control_of_an_unknown_instance_answers_an_empty_404(host, operation):
    reply = host.post(f"{INSTANCES}/nobody/{operation}", content="true", headers=JSON)

    assert (reply.status_code, reply.content) == (404, b"")


@pytest.mark.parametrize("operation", ["terminate", "suspend", "resume", "raiseEvent/go"])
def test_control_of_a_finished_instance_answers_an_empty_410(host, run, operation):
    instance_id = run("fan_out_fan_in", 1)["instanceId"]

    reply = host.post(f"{INSTANCES}/{instance_id}/{operation}", content="true", headers=JSON)

    assert (reply.status_code, reply.content) == (410, b"")


def test_terminate_answers_202_and_ends_the_instance(host, start):
    started = start("approval")

    reply = host.post(started["terminatePostUri"].replace("{text}", "enough"))

    assert (reply.status_code, reply.content) == (202, b"")
    status = finished(host, started)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough")


def test_suspended_instance_waits_until_resumed(host, start):
    started = start("approval")
    assert host.post(started["suspendPostUri"]).status_code == 202
    status_becomes(host, started, "Suspended")
    host.post(started["sendEventPostUri"].format(eventName="Approval"), json=True)
    assert host.get(started["statusQueryGetUri"]).status_code == 202

    assert host.post(started["resumePostUri"]).status_code == 202

    assert finished(host, started)["output"] == {"approved": True}


def test_redundant_suspend_and_resume_answer_202(host, start):
    started = start("approval")

    codes = [
        host.post(started[name]).status_code
        for name in ("resumePostUri", "suspendPostUri", "suspendPostUri")
    ]

    assert codes == [202, 202, 202]


def test_event_reaches_its_instance_and_wins_against_the_timer(host, start):
    started = start("approval")

    reply = host.post(started["sendEventPostUri"].format(eventName="approval"), json={"by": "é"})

    assert (reply.status_code, reply.content) == (202, b"")
    assert finished(host, started)["output"] == {"approved": {"by": "é"}}


def test_timer_wins_when_no_event_comes(run):
    assert run("approval", {"seconds": 0.2})["output"] == "escalated"


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [("text/plain", b"true", "Only application/json request content is supported"),
     ("", b"true", "Only application/json request content is supported"),
     ("text/plain", b"{bad", "Only application/json request content is supported"),
     ("application/json; charset=utf-8", b"{bad", "Invalid JSON content")],
)  # fmt: skip
def test_event_with_wrong_content_answers_400(host, start, content_type, body, message):
    url = start("approval")["sendEventPostUri"].format(eventName="Approval")

    reply = host.post(url, content=body, headers={"content-type": content_type})

    assert (reply.status_code, reply.json()["Message"]) == (400, message)


def test_event_name_is_decoded_from_the_url(host, start):
    started = start("approval", payload={"event": "a/b c"})

    host.post(started["sendEventPostUri"].format(eventName="a%2Fb%20c"), json=1)

    assert finished(host, started)["output"] == {"approved": 1}


def test_purge_deletes_a_finished_instance_once(host, run):
    url = f"{INSTANCES}/{run('fan_out_fan_in', 1)['instanceId']}"

    replies = [host.delete(url), host.delete(url), host.get(url)]

    assert [reply.status_code for reply in replies] == [200, 404, 404]
    assert [reply.content for reply in replies] == [b'{"instancesDeleted":1}', b"", b""]


def test_purge_of_a_running_instance_answers_412(host, start):
    started = start("approval", instance_id="still-running")
    status_becomes(host, started, "Running")

    reply = host.delete(started["purgeHistoryDeleteUri"])

    assert reply.status_code == 412
    assert json.loads(reply.content) == (
        "Only orchestrations in a terminal state can be purged, but the orchestration with "
        "instance ID still-running has status Running"
    )


@pytest.mark.parametrize("since", ["", "createdTimeFrom=never"])
def test_purge_of_many_needs_a_start_time(host, since):
    reply = host.delete(f"{INSTANCES}?{since}")

    assert (reply.status_code, reply.content) == (
        400, b'"Please provide value for \'createdTimeFrom\' parameter."',
    )  # fmt: skip


def test_purge_of_many_deletes_what_matches(host, run):
    hub = "taskHub=Samples"
    run("failing", "explode", "purged-1")
    run("failing", "explode", "purged-2")
    run("fan_out_fan_in", 1, "kept")

    reply = host.delete(f"{INSTANCES}?createdTimeFrom=2020-01-01&runtimeStatus=Failed&{hub}")

    assert reply.status_code == 200
    assert reply.json()["instancesDeleted"] >= 2
    assert host.get(f"{INSTANCES}/kept").status_code == 200
    assert host.delete(f"{INSTANCES}?createdTimeFrom=2999-01-01").status_code == 404


def test_purge_reaches_an_entity(host, run):
    instance_id = run("count_up")["instanceId"]
    assert host.get(f"/api/counter/{instance_id}").json() == {"value": 6}

    reply = host.delete(f"{INSTANCES}/@counter@{instance_id}")

    assert reply.json() == {"instancesDeleted": 1}
    assert host.get(f"/api/counter/{instance_id}").status_code == 404
