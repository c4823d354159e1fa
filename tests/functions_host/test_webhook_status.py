"""What states and histories of every kind show; test_webhook_contract.py has codes and fields."""

import pytest
from host_process import WEBHOOK, finished

INSTANCES = f"{WEBHOOK}/instances"
FIELDS = [
    "name", "instanceId", "runtimeStatus", "input", "customStatus", "output",
    "createdTime", "lastUpdatedTime",
]  # fmt: skip


def test_history_of_a_failure_names_type_and_message(host, run):
    instance_id = run("failing", "explode")["instanceId"]

    url = f"{INSTANCES}/{instance_id}?showHistory=true"
    failure = host.get(url).json()["historyEvents"][1]["FailureDetails"]

    assert (failure["ErrorType"], failure["ErrorMessage"]) == ("ValueError", "the first line")
    assert "the second line" in failure["StackTrace"]


@pytest.mark.parametrize(
    ("name", "payload", "shown"),
    [("parent", None, "SubOrchestrationInstanceCompleted"), ("persistent", None, "TimerFired"),
     ("count_up", None, "EntityOperationCompleted"), ("countdown", 2, "ExecutionCompleted")],
)  # fmt: skip
def test_history_of_every_kind_is_shown_without_ids(host, run, name, payload, shown):
    instance_id = run(name, payload)["instanceId"]

    events = host.get(f"{INSTANCES}/{instance_id}?showHistory=true").json()["historyEvents"]

    assert shown in [event["EventType"] for event in events]
    fields = {field for event in events for field in event}
    assert not fields & {"EventId", "TaskScheduledId", "TimerId", "ParentInstance", "Version"}


def test_text_that_is_no_json_is_shown_as_a_string(host, start):
    started = start("approval")
    host.post(started["terminatePostUri"].replace("{text}", "because%20I%20say%20so"))

    assert finished(host, started)["output"] == "because I say so"
