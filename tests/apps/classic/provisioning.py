"""Sub-orchestrations, with ids of their own, and retries of them and of activities."""

from pathlib import Path

import azure.durable_functions as df

bp = df.Blueprint()
RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=10, max_number_of_attempts=3)


@bp.orchestration_trigger(context_name="context")
def provision_all(context: df.DurableOrchestrationContext):
    wanted = context.get_input()
    devices = [
        context.call_sub_orchestrator(
            "provision_device",
            {**wanted, "device": number},
            instance_id=f"{context.instance_id}:device-{number}",
        )
        for number in range(wanted["devices"])
    ]
    return (yield context.task_all(devices))


@bp.orchestration_trigger(context_name="context")
def provision_device(context: df.DurableOrchestrationContext):
    wanted = context.get_input()
    package = yield context.call_activity("make_package", wanted["device"])
    attempts = yield context.call_activity_with_retry(
        "install", RETRY, {**wanted, "package": package}
    )
    return f"{package} after {attempts} attempts, in {context.instance_id.rpartition(':')[2]}"


@bp.activity_trigger(input_name="device")
def make_package(device: int) -> str:
    return f"package-{device}"


@bp.activity_trigger(input_name="wanted")
def install(wanted: dict) -> int:
    """Fails as often as is wanted; the attempts are counted in a file."""
    tally = Path(wanted["folder"], wanted["package"])
    with tally.open("a") as file:
        file.write("x")
    attempts = len(tally.read_text())
    if attempts <= wanted["failures"]:
        raise ConnectionError(f"{wanted['package']} is not installed, attempt {attempts}")
    return attempts


@bp.orchestration_trigger(context_name="context")
def provision_again(context: df.DurableOrchestrationContext):
    """Retries the whole sub-orchestration, whose activity has run out of attempts."""
    wanted = {**context.get_input(), "device": 7}
    return (yield context.call_sub_orchestrator_with_retry("provision_device", RETRY, wanted))


@bp.orchestration_trigger(context_name="context")
def compensate(context: df.DurableOrchestrationContext):
    """Undoes what it has done when a later step fails."""
    wanted = {**context.get_input(), "package": "compensated"}
    try:
        yield context.call_activity("install", wanted)
    except Exception as error:
        undone = yield context.call_activity("uninstall", wanted)
        return {"undone": undone, "because": "not installed" in str(error)}


@bp.activity_trigger(input_name="wanted")
def uninstall(wanted: dict) -> str:
    Path(wanted["folder"], wanted["package"]).unlink()
    return wanted["package"]
