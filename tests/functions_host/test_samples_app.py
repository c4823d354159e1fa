"""An app of the public samples' kind does all it should, driven over HTTP."""

import pytest
from host_process import WEBHOOK


@pytest.mark.parametrize(
    ("name", "payload", "output"),
    [
        ("chaining", None, ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]),
        ("fan_out_fan_in", 20, 2470),
        ("meeting", 10, "met"),
        ("count_up", None, 6),
        ("parent", None, [5, 14]),
        ("two_arguments", "Ada", "Hello Ada!"),
        ("persistent", None, 3),
        ("countdown", 3, "lift-off"),
    ],
)
def test_orchestration_completes_with_its_output(run, name, payload, output):
    status = run(name, payload)

    assert (status["runtimeStatus"], status["output"]) == ("Completed", output)


def test_custom_status_is_shown(run):
    assert run("chaining")["customStatus"] == {"greeted": 3}


def failure(host, run, activity):
    """The failure details in the history of an instance whose activity fails."""
    instance_id = run("failing", activity)["instanceId"]
    url = f"{WEBHOOK}/instances/{instance_id}?showHistory=true"
    return host.get(url).json()["historyEvents"][1]["FailureDetails"]


@pytest.mark.parametrize(
    ("activity", "error_type", "message", "final"),
    [
        ("explode", "ValueError", "the first line", False),
        ("exits", "SystemExit", "enough", False),
        ("explode_with_details", "Refused", "out of stock", True),
    ],
)
def test_activity_failure_keeps_type_and_message(host, run, activity, error_type, message, final):
    details = failure(host, run, activity)

    assert (details["ErrorType"], details["ErrorMessage"]) == (error_type, message)
    assert details["IsNonRetriable"] is final


def test_result_that_the_scheduler_refuses_fails_and_is_not_made_again(host, run):
    details = failure(host, run, "too_much")

    assert details["ErrorType"] == "ResultRefused"
    assert details["IsNonRetriable"] is True


def test_unknown_activity_fails_and_names_the_known_ones(host, run):
    message = failure(host, run, "nobody")["ErrorMessage"]

    assert message.startswith("The function 'nobody' doesn't exist, is disabled, or is not an ")
    assert "'explode'" in message


def test_orchestrator_that_is_gone_fails_its_instance(host, run, samples):
    status = host.post("/api/orchestrators/nobody").json()["statusQueryGetUri"]
    reply = host.get(status)
    while reply.status_code == 202:
        reply = host.get(status)

    assert reply.json()["runtimeStatus"] == "Failed"
    assert "The function 'nobody' doesn't exist" in reply.json()["output"]


@pytest.mark.parametrize(
    ("entity", "message"),
    [("nobody", "The function 'nobody' doesn't exist"), ("Counter", "no operation explode")],
)
def test_failed_entity_operation_is_told_to_its_caller(run, entity, message):
    status = run("entity_trouble", entity)

    assert status["runtimeStatus"] == "Completed"
    assert message in status["output"]


def test_unsupported_trigger_is_named_and_the_rest_runs(samples):
    part, _ = samples

    part.wait_for_log("function 'on_message' is not served: its binding 'msg' of type queueTrigger")
