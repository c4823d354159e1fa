"""The parts of the runtime as the supervisor starts them: the command line of each."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local_runtime.listening import port_of
from local_runtime.processes.kept_part import Facts, Part

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
        if facts:  # it has run before: an empty folder in the place of its own is not to be served
            command += ["--data-expected"]
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


@dataclass(frozen=True)
class HostPlan:
    """How to run the Functions host."""

    app_dir: Path
    scheduler: str
    data: Path
    """Where state is kept; the host's own is in its folder `host`."""
    task_hub: str | None = None
    """The task hub; None for the one that the app's settings name."""
    dashboard_url: str | None = None
    workers: int = 1
    """How many processes share the work."""
    enable_auth: bool = False
    """Whether keys are asked for, as on Azure."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Set on top of this process's own environment."""


def host_parts(plan: HostPlan, listener: socket.socket) -> list[Part]:
    """Return the processes of the Functions host.

    The first serves HTTP, on the socket `listener`; the others only work.
    """
    common = ["host-process", "--app", str(plan.app_dir), "--port", str(port_of(listener))]
    common += ["--scheduler", plan.scheduler, "--data", str(plan.data)]
    common += ["--task-hub", plan.task_hub] if plan.task_hub else []
    common += ["--enable-auth"] if plan.enable_auth else []
    shown = ["--dashboard-url", plan.dashboard_url] if plan.dashboard_url else []
    descriptor = listener.fileno()
    first = [*common, *shown, "--listen-fd", str(descriptor)]
    worker = [*common, "--worker-only"]
    return [
        Part(
            "the Functions host",
            lambda _: first,
            plan.environment,
            _HOST_STOP_SECONDS,
            (descriptor,),
        ),
        *(
            Part(f"worker {number}", lambda _: worker, plan.environment, _HOST_STOP_SECONDS)
            for number in range(2, plan.workers + 1)
        ),
    ]


def offline_environment(model_port: int) -> dict[str, str]:
    """Return the settings of an app that is to use the offline model.

    The last one is for clients of Azure OpenAI that the app's code makes by itself: they are served
    by the offline model as well, and sign in to nothing.
    """
    address = f"http://127.0.0.1:{model_port}/v1"
    return {
        "OPENAI_BASE_URL": address,
        "OPENAI_API_KEY": "offline",
        "OPENAI_MODEL": OFFLINE_MODEL,
        "BATON_OFFLINE_MODEL_URL": address,
    }
