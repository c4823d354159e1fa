"""What terminate, suspend, resume, raiseEvent and purge do; test_webhook_contract.py has codes."""

from host_process import WEBHOOK, finished

INSTANCES = f"{WEBHOOK}/instances"
JSON = {"content-type": "application/json"}


def status_becomes(host, started, wanted):
    while host.get(started["statusQueryGetUri"]).json()["runtimeStatus"] != wanted:
        pass


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


def test_event_reaches_its_instance_and_wins_against_the_timer(host, start):
    started = start("approval")

    reply = host.post(started["sendEventPostUri"].format(eventName="approval"), json={"by": "é"})

    assert (reply.status_code, reply.content) == (202, b"")
    assert finished(host, started)["output"] == {"approved": {"by": "é"}}


def test_timer_wins_when_no_event_comes(run):
    assert run("approval", {"seconds": 0.2})["output"] == "escalated"


def test_event_name_is_decoded_from_the_url(host, start):
    started = start("approval", payload={"event": "a/b c"})

    host.post(started["sendEventPostUri"].format(eventName="a%2Fb%20c"), json=1)

    assert finished(host, started)["output"] == {"approved": 1}


def test_purge_deletes_a_finished_instance_once(host, run):
    url = f"{INSTANCES}/{run('fan_out_fan_in', 1)['instanceId']}"

    replies = [host.delete(url), host.delete(url), host.get(url)]

    assert [reply.status_code for reply in replies] == [200, 404, 404]
    assert [reply.content for reply in replies] == [b'{"instancesDeleted":1}', b"", b""]


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
