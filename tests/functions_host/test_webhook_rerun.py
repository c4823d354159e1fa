"""restart and rewind: codes and bodies, and what runs again."""

import pytest
from host_process import WEBHOOK, finished

INSTANCES = f"{WEBHOOK}/instances"


def test_restart_runs_the_instance_again_under_a_new_id(host, run):
    first = run("two_arguments", "Ada")

    reply = host.post(f"{INSTANCES}/{first['instanceId']}/restart")

    assert reply.status_code == 202
    assert reply.headers["location"] == reply.json()["statusQueryGetUri"]
    again = finished(host, reply.json())
    assert again["instanceId"] != first["instanceId"]
    assert (again["output"], again["input"]) == (first["output"], "Ada")


def test_restart_under_the_same_id_replaces_the_instance(host, run):
    first = run("two_arguments", "Ada")
    url = f"{INSTANCES}/{first['instanceId']}/restart?restartWithNewInstanceId=false"

    reply = host.post(url)

    assert reply.json()["id"] == first["instanceId"]
    assert finished(host, reply.json())["output"] == first["output"]


def test_restart_that_waits_answers_the_output(host, run):
    first = run("two_arguments", "Ada")

    reply = host.post(f"{INSTANCES}/{first['instanceId']}/restart?timeout=20")

    assert (reply.status_code, reply.json()) == (200, first["output"])


def test_restart_of_an_unknown_instance_answers_400(host):
    reply = host.post(f"{INSTANCES}/nobody/restart")

    assert reply.status_code == 400
    message = "InstanceId does not match a valid orchestration instance."
    assert reply.json() == {"Message": message}


def test_restart_of_a_running_instance_answers_409(host, start):
    started = start("approval")

    reply = host.post(started["restartPostUri"])

    assert reply.status_code == 409
    message = "A non-terminal instance with this instance ID already exists."
    assert reply.json() == {"Message": message}
    host.post(started["terminatePostUri"])


def test_rewind_repeats_only_what_failed(host, start):
    started = start("impatient")
    assert finished(host, started)["runtimeStatus"] == "Failed"
    url = f"{INSTANCES}/{started['id']}/rewind?reason=mended"

    for _ in range(2):
        assert host.post(url).status_code == 202
        status = finished(host, started)

    assert (status["runtimeStatus"], status["output"]) == ("Completed", ["Hello once!", 3])
    history = host.get(f"{started['statusQueryGetUri']}&showHistory=true").json()["historyEvents"]
    greetings = [e for e in history if e.get("FunctionName") == "say_hello"]
    assert len(greetings) == 1


def test_rewind_of_an_unknown_instance_answers_404(host):
    reply = host.post(f"{INSTANCES}/nobody/rewind")

    assert reply.status_code == 404
    assert reply.json() == 'No orchestration with instance ID "$nobody" found.'


@pytest.mark.parametrize("name", ["two_arguments", "approval"])
def test_rewind_of_an_instance_that_has_not_failed_answers_412(host, start, name):
    started = start(name, payload="Ada" if name == "two_arguments" else None)
    if name == "two_arguments":
        finished(host, started)

    reply = host.post(f"{INSTANCES}/{started['id']}/rewind")

    assert reply.status_code == 412
    assert 'only orchestrations in the "Failed" state can be rewound' in reply.json()
    host.post(started["terminatePostUri"])
