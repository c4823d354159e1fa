"""GET instances/{id} and GET instances: codes, headers, and fields in their order."""

import re

import pytest
from host_process import WEBHOOK, finished

INSTANCES = f"{WEBHOOK}/instances"
FIELDS = [
    "name", "instanceId", "runtimeStatus", "input", "customStatus", "output",
    "createdTime", "lastUpdatedTime",
]  # fmt: skip


def test_unknown_instance_answers_an_empty_404(host):
    reply = host.get(f"{INSTANCES}/nobody")

    assert (reply.status_code, reply.content) == (404, b"")


def test_running_instance_answers_202_with_location_and_retry_after(host, start):
    url = start("approval", payload={"seconds": 60})["statusQueryGetUri"]

    reply = host.get(f"{url}&showInput=true")

    assert reply.status_code == 202
    assert reply.headers["location"] == f"{url}&showInput=true"
    assert reply.headers["retry-after"] == "5"
    assert reply.json()["runtimeStatus"] in ("Pending", "Running")


def test_finished_instance_answers_200_with_all_fields_in_order(host, run):
    instance_id = run("fan_out_fan_in", 3)["instanceId"]

    reply = host.get(f"{INSTANCES}/{instance_id}")

    assert (reply.status_code, list(reply.json())) == (200, FIELDS)
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert "retry-after" not in reply.headers
    assert reply.json()["input"] == 3
    assert reply.json()["output"] == 5
    assert reply.json()["customStatus"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", reply.json()["createdTime"])


def test_input_is_null_when_not_asked_for(host, run):
    instance_id = run("fan_out_fan_in", 3)["instanceId"]

    assert host.get(f"{INSTANCES}/{instance_id}?SHOWINPUT=False").json()["input"] is None


def test_failed_instance_shows_its_failure_as_output(run):
    status = run("failing", "explode")

    assert status["runtimeStatus"] == "Failed"
    assert "the first line" in status["output"]


@pytest.mark.parametrize(("flag", "code"), [("true", 500), ("false", 200), ("1", 200)])
def test_failed_instance_answers_500_only_when_asked(host, run, flag, code):
    instance_id = run("failing", "explode")["instanceId"]

    url = f"{INSTANCES}/{instance_id}?returnInternalServerErrorOnFailure={flag}"
    assert host.get(url).status_code == code


def test_history_folds_what_was_scheduled_into_what_came_of_it(host, run):
    instance_id = run("fan_out_fan_in", 1)["instanceId"]

    events = host.get(f"{INSTANCES}/{instance_id}?showHistory=true").json()["historyEvents"]

    assert [event["EventType"] for event in events] == [
        "ExecutionStarted", "TaskCompleted", "TaskCompleted", "ExecutionCompleted",
    ]  # fmt: skip
    assert list(events[1]) == ["EventType", "FunctionName", "Input", "ScheduledTime", "Timestamp"]
    assert events[1]["FunctionName"] == "make_work"
    assert events[-1]["OrchestrationStatus"] == "Completed"


def test_history_shows_results_only_when_asked(host, run):
    instance_id = run("fan_out_fan_in", 3)["instanceId"]

    url = f"{INSTANCES}/{instance_id}?showHistory=true&showHistoryOutput=true&showInput=false"
    events = host.get(url).json()["historyEvents"]

    assert events[1]["Result"] == [0, 1, 2]
    assert events[-1]["Result"] == 5
    assert all("Input" not in event for event in events)


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


def test_list_is_an_array_of_status_payloads(host, run):
    run("fan_out_fan_in", 3, "listed-one")

    reply = host.get(f"{INSTANCES}?instanceIdPrefix=listed-one")

    assert reply.status_code == 200
    assert reply.headers["x-ms-continuation-token"] == ""
    assert [list(item) for item in reply.json()] == [FIELDS]


def test_list_pages_with_the_continuation_token(host, run):
    for n in range(5):
        run("two_arguments", "Ada", f"paged-{n}")
    seen, sizes, token = [], [], None
    while token != "":
        headers = {"x-ms-continuation-token": token} if token else {}
        reply = host.get(f"{INSTANCES}?instanceIdPrefix=paged-&top=2", headers=headers)
        seen += [item["instanceId"] for item in reply.json()]
        sizes.append(len(reply.json()))
        token = reply.headers["x-ms-continuation-token"]

    assert sorted(seen) == [f"paged-{n}" for n in range(5)]
    assert sizes[:2] == [2, 2]


@pytest.mark.parametrize(
    ("asked", "found"),
    [("Failed", ["by-status-f"]), ("failed", ["by-status-c", "by-status-f"]),
     ("Completed,Failed", ["by-status-c", "by-status-f"]), ("Failed,bogus", ["by-status-f"]),
     ("Completed&runtimeStatus=Failed", ["by-status-c", "by-status-f"])],
)  # fmt: skip
def test_list_filters_by_status_with_case(host, run, asked, found):
    run("fan_out_fan_in", 1, "by-status-c")
    run("failing", "explode", "by-status-f")

    items = host.get(f"{INSTANCES}?instanceIdPrefix=by-status&runtimeStatus={asked}").json()

    assert sorted(item["instanceId"] for item in items) == found


@pytest.mark.parametrize(
    ("span", "count"),
    [("createdTimeFrom=2020-01-01", 1), ("createdTimeFrom=2999-01-01T00:00:00Z", 0),
     ("createdTimeTo=2020-01-01T00:00:00+00:00", 0), ("createdTimeTo=not-a-date", 1),
     ("createdTimeFrom=1-01-01T00:00:00Z", 1), ("top=x", 1)],
)  # fmt: skip
def test_list_filters_by_creation_and_ignores_bad_dates(host, run, span, count):
    run("fan_out_fan_in", 1, "by-time")

    assert len(host.get(f"{INSTANCES}?instanceIdPrefix=by-time&{span}").json()) == count


def test_text_that_is_no_json_is_shown_as_a_string(host, start):
    started = start("approval")
    host.post(started["terminatePostUri"].replace("{text}", "because%20I%20say%20so"))

    assert finished(host, started)["output"] == "because I say so"
