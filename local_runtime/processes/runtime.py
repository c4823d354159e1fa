"""Puts the parts together: scheduler, offline model when none is configured, Functions host."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from local_runtime.errors import StartupError
from local_runtime.processes.parts import host_part, model_part, scheduler_part
from local_runtime.processes.supervisor import Facts, Supervisor


@dataclass(frozen=True)
class Plan:
    """What a person asked for. Port 0 is a free one."""

    app_dir: Path
    data: Path
    task_hub: str
    offline_model: bool
    http_port: int = 0
    grpc_port: int = 0
    dashboard_port: int | None = None
    scheduler_options: tuple[str, ...] = ()
    enable_auth: bool = False


@dataclass(frozen=True)
class RunningRuntime:
    """What came of it."""

    plan: Plan
    scheduler_url: str
    dashboard_url: str | None
    host_url: str
    functions: tuple[tuple[str, str], ...]
    """Each function's name and trigger."""
    agents: tuple[str, ...]

    @property
    def orchestrators(self) -> list[str]:
        """The names of the app's own orchestrators; those that the SDK adds are left out."""
        return sorted(
            name
            for name, trigger in self.functions
            if trigger == "orchestrationTrigger" and not name.startswith("BuiltIn__")
        )


async def start_runtime(supervisor: Supervisor, plan: Plan) -> RunningRuntime:
    """Start every part that the plan needs.

    Raises:
        StartupError: One of them cannot start.
    """
    # Unknown so early when the host is to find itself a port.
    functions_url = f"http://localhost:{plan.http_port}" if plan.http_port else None
    first = scheduler_part(
        plan.data, plan.grpc_port, plan.dashboard_port, functions_url, plan.scheduler_options
    )
    try:
        async with asyncio.TaskGroup() as starting:
            scheduler_task = starting.create_task(supervisor.start(first))
            model_task = starting.create_task(_start_model(supervisor, plan))
    except* StartupError as group:
        raise _first_of(group) from None
    scheduler, model = scheduler_task.result(), model_task.result()
    # The address and not `localhost`, which may mean ::1 first, where nothing listens.
    scheduler_url = f"http://127.0.0.1:{scheduler['grpc_port']}"
    dashboard_url = None
    if plan.dashboard_port is not None:
        dashboard_url = f"http://localhost:{scheduler['dashboard_port']}"
    host = await supervisor.start(
        host_part(
            plan.app_dir,
            plan.http_port,
            scheduler=scheduler_url,
            task_hub=plan.task_hub,
            data=plan.data,
            model_port=int(model["port"]) if model else None,
            dashboard_url=dashboard_url,
            options=("--enable-auth",) if plan.enable_auth else (),
        )
    )
    functions = cast("list[dict[str, Any]]", host["functions"])
    return RunningRuntime(
        plan,
        scheduler_url,
        dashboard_url,
        f"http://localhost:{host['port']}",
        tuple((str(function["name"]), str(function["trigger"])) for function in functions),
        tuple(str(agent) for agent in host["agents"]),
    )


def _first_of(group: BaseExceptionGroup[StartupError]) -> StartupError:
    """Return one error of several that happened at once; a person mends them one by one."""
    error = group.exceptions[0]
    return _first_of(error) if isinstance(error, BaseExceptionGroup) else error


async def _start_model(supervisor: Supervisor, plan: Plan) -> Facts | None:
    return await supervisor.start(model_part()) if plan.offline_model else None
