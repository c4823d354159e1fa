"""What runs again after restart and rewind; test_webhook_contract.py has codes and bodies."""

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
