"""The parts of the runtime as the supervisor starts them: the command line of each."""

from collections.abc import Sequence
from pathlib import Path

from local_runtime.processes.supervisor import Facts, Part

# Together less than the 20 s in which everything has stopped.
_HOST_STOP_SECONDS = 12.0
_SCHEDULER_STOP_SECONDS = 4.0
_MODEL_STOP_SECONDS = 2.0

OFFLINE_MODEL = "offline-canned"


def scheduler_part(
    data: Path,
    grpc_port: int,
    dashboard_port: int | None,
    functions_url: str | None,
    options: Sequence[str] = (),
) -> Part:
    """Return the scheduler, with its dashboard unless `dashboard_port` is None.

    `options` are more options of its command line.
    """

    def arguments(facts: Facts) -> Sequence[str]:
        command = ["scheduler", "--data", str(data), *options]
        command += ["--grpc-port", str(facts.get("grpc_port", grpc_port))]
        if dashboard_port is None:
            return [*command, "--no-dashboard"]
        command += ["--dashboard-port", str(facts.get("dashboard_port", dashboard_port))]
        return [*command, "--functions-url", functions_url] if functions_url else command

    return Part("the scheduler", arguments, stop_seconds=_SCHEDULER_STOP_SECONDS)


def model_part() -> Part:
    """Return the offline model, on a free port."""

    def arguments(facts: Facts) -> Sequence[str]:
        return ["model", "--port", str(facts.get("port", 0))]

    return Part("the offline model", arguments, stop_seconds=_MODEL_STOP_SECONDS)


def host_part(
    app_dir: Path,
    port: int,
    *,
    scheduler: str,
    task_hub: str,
    data: Path,
    model_port: int | None,
    dashboard_url: str | None,
    options: Sequence[str] = (),
) -> Part:
    """Return the Functions host; `model_port` is the offline model's, when that is in use.

    `options` are more options of its command line.
    """

    def arguments(facts: Facts) -> Sequence[str]:
        command = ["host", "--app", str(app_dir), "--port", str(facts.get("port", port))]
        command += ["--scheduler", scheduler, "--task-hub", task_hub, "--data", str(data), *options]
        return [*command, "--dashboard-url", dashboard_url] if dashboard_url else command

    environment: dict[str, str] = {}
    if model_port is not None:
        environment = {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{model_port}/v1",
            "OPENAI_API_KEY": "offline",
            "OPENAI_MODEL": OFFLINE_MODEL,
        }
    return Part("the Functions host", arguments, environment, _HOST_STOP_SECONDS)
