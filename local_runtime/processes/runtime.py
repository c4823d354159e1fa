"""Puts the parts together: scheduler, offline model when none is configured, Functions host."""

import asyncio
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from local_runtime.errors import StartupError
from local_runtime.listening import listen, port_of
from local_runtime.processes.host_group import HostGroup, first_of
from local_runtime.processes.kept_part import Facts, Part
from local_runtime.processes.parts import (
    HostPlan,
    host_parts,
    model_part,
    offline_environment,
    scheduler_part,
)
from local_runtime.processes.supervisor import Supervisor
from local_runtime.settings import AppSettings


@dataclass(frozen=True)
class Plan:
    """What a person asked for. Port 0 is a free one."""

    app_dir: Path
    data: Path
    task_hub: str
    """The task hub, which the app's settings name if `fixed_task_hub` does not."""
    offline_model: bool
    http_port: int = 0
    grpc_port: int = 0
    dashboard_port: int | None = None
    scheduler_options: tuple[str, ...] = ()
    fixed_task_hub: str | None = None
    """The task hub that a person named on the command line."""
    workers: int = 1
    watch: bool = False
    """Whether the app is loaded again when one of its files changes."""
    enable_auth: bool = False


@dataclass(frozen=True)
class RunningRuntime:
    """What came of it."""

    plan: Plan
    hosts: HostGroup
    scheduler_url: str
    dashboard_url: str | None
    host_url: str
    functions: tuple[tuple[str, str], ...]
    """Each function's name and trigger."""
    agents: tuple[str, ...]

    @property
    def orchestrators(self) -> list[str]:
        """The names of the app's own orchestrators, without those that the libraries add."""
        activities = {name for name, trigger in self.functions if trigger == "activityTrigger"}
        runs = {f"run-{name}" for name in activities}
        return sorted(
            name
            for name, trigger in self.functions
            if trigger == "orchestrationTrigger"
            and not name.startswith("BuiltIn__")
            and name not in runs
        )


async def start_runtime(supervisor: Supervisor, plan: Plan) -> RunningRuntime:
    """Start every part that the plan needs.

    Raises:
        StartupError: One of them cannot start.
    """
    listener = listen(plan.http_port, "--port")
    try:
        return await _start_on(listener, supervisor, plan)
    except BaseException:
        listener.close()
        raise


async def _start_on(listener: socket.socket, supervisor: Supervisor, plan: Plan) -> RunningRuntime:
    host_url = f"http://localhost:{port_of(listener)}"
    first = scheduler_part(
        plan.data, plan.grpc_port, plan.dashboard_port, host_url, plan.scheduler_options
    )
    try:
        async with asyncio.TaskGroup() as starting:
            scheduler_task = starting.create_task(supervisor.start(first))
            model_task = starting.create_task(_start_model(supervisor, plan))
    except* StartupError as group:
        raise first_of(group) from None
    scheduler, model = scheduler_task.result(), model_task.result()
    # The address and not `localhost`, which may mean ::1 first, where nothing listens.
    scheduler_url = f"http://127.0.0.1:{scheduler['grpc_port']}"
    dashboard_url = None
    if plan.dashboard_port is not None:
        dashboard_url = f"http://localhost:{scheduler['dashboard_port']}"
    host_plan = HostPlan(
        plan.app_dir,
        scheduler_url,
        plan.data,
        plan.fixed_task_hub,
        dashboard_url,
        plan.workers,
        enable_auth=plan.enable_auth,
    )
    model_port = int(model["port"]) if model else None
    hosts = HostGroup(listener, partial(_hosts, host_plan, listener, model_port))
    supervisor.keep(hosts)
    host = await hosts.start()
    functions = cast("list[dict[str, Any]]", host["functions"])
    return RunningRuntime(
        plan,
        hosts,
        scheduler_url,
        dashboard_url,
        host_url,
        tuple((str(function["name"]), str(function["trigger"])) for function in functions),
        tuple(str(agent) for agent in host["agents"]),
    )


def _hosts(plan: HostPlan, listener: socket.socket, model_port: int | None) -> Sequence[Part]:
    """Return the host's processes for the app as it is now: its settings may have changed."""
    app = AppSettings.load(plan.app_dir, os.environ)
    if model_port is not None and not app.model_configured:
        plan = replace(plan, environment=offline_environment(model_port))
    return host_parts(plan, listener)


async def _start_model(supervisor: Supervisor, plan: Plan) -> Facts | None:
    return await supervisor.start(model_part()) if plan.offline_model else None
