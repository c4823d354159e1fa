"""What a start does, and does not; test_webhook_contract.py has codes, headers and bodies."""

from host_process import WEBHOOK

START = f"{WEBHOOK}/orchestrators"
HUB = "taskHub=Samples&connection=AzureWebJobsStorage"


def test_finished_id_is_replaced(run):
    run("fan_out_fan_in", 2, "again")

    assert run("fan_out_fan_in", 3, "again")["output"] == 5


def test_polling_interval_above_timeout_answers_400_and_starts_nothing(host):
    reply = host.post(f"{START}/approval/impatient?timeout=1&pollingInterval=2")

    assert reply.status_code == 400
    assert host.get(f"{WEBHOOK}/instances/impatient").status_code == 404


def test_instances_of_another_task_hub_are_apart(host):
    started = host.post(f"{START}/approval/elsewhere?taskHub=Other").json()

    assert "taskHub=Other" in started["statusQueryGetUri"]
    assert host.get(started["statusQueryGetUri"]).json()["instanceId"] == "elsewhere"
    assert host.get(f"{WEBHOOK}/instances/elsewhere").status_code == 404


def test_forwarded_host_counts_only_where_host_json_says_so(host):
    forwarded = {"x-forwarded-host": "flows.test", "x-forwarded-proto": "https"}

    reply = host.post(f"{START}/chaining", headers=forwarded)

    assert reply.headers["location"].startswith(f"{host.base_url.join(WEBHOOK)}/")
