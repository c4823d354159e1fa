"""The command `host`: the Functions host alone, its processes kept running until it is stopped."""

import contextlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_runtime.listening import listen, port_of
from local_runtime.processes.host_group import HostGroup
from local_runtime.processes.interruption import Interrupted, Interruption
from local_runtime.processes.kept_part import Part
from local_runtime.processes.parts import HostPlan, host_parts
from local_runtime.processes.supervisor import Supervisor
from local_runtime.settings import AppSettings, check_app_dir

logger = logging.getLogger("local_runtime")


@dataclass(frozen=True)
class HostRequest:
    """What a person asked for."""

    app_dir: Path
    port: int
    scheduler: str
    data: Path
    task_hub: str | None
    dashboard_url: str | None
    workers: int
    watch: bool
    enable_auth: bool


async def run_host(request: HostRequest) -> None:
    """Start the host's processes, and return when they have been told to stop and have.

    Raises:
        StartupError: They cannot start; none is left running.
    """
    check_app_dir(request.app_dir)
    interruption = Interruption()
    listener = listen(request.port, "--port")
    plan = HostPlan(
        request.app_dir,
        listener,
        request.scheduler,
        request.data,
        request.task_hub,
        request.dashboard_url,
        request.workers,
        enable_auth=request.enable_auth,
    )

    def parts() -> Sequence[Part]:
        # Here and not only in the processes: broken settings are then said once.
        AppSettings.load(request.app_dir, os.environ)
        return host_parts(plan)

    async with Supervisor() as supervisor:
        hosts = HostGroup(listener, parts)
        supervisor.keep(hosts)
        try:
            await interruption.unless(hosts.start())
        except Interrupted:
            logger.info("stopping before everything was started")
            return
        logger.info("functions at http://localhost:%d; stop with Ctrl-C", port_of(listener))
        async with contextlib.AsyncExitStack() as watch:
            if request.watch:
                from local_runtime.processes.app_watch import watching

                await watch.enter_async_context(watching(hosts, request.app_dir, request.data))
            await interruption.wait()
            logger.info("stopping")
    logger.info("stopped")
