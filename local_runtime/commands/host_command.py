"""The command `host`: the Functions host alone, its processes kept running until it is stopped."""

import logging
import os
from collections.abc import Sequence

from local_runtime.commands.watch_option import watching_if
from local_runtime.listening import listen, port_of
from local_runtime.processes.host_group import HostGroup
from local_runtime.processes.interruption import Interrupted, Interruption
from local_runtime.processes.kept_part import Part
from local_runtime.processes.parts import HostPlan, host_parts
from local_runtime.processes.supervisor import Supervisor
from local_runtime.settings import AppSettings, check_app_dir

logger = logging.getLogger("local_runtime")


async def run_host(plan: HostPlan, port: int, *, watch: bool) -> None:
    """Start the host's processes on a port, and return when they have been told to stop and have.

    With `watch` they are replaced whenever a file of the app changes.

    Raises:
        StartupError: They cannot start; none is left running.
    """
    check_app_dir(plan.app_dir)
    interruption = Interruption()
    listener = listen(port, "--port")

    def parts() -> Sequence[Part]:
        # Here and not only in the processes: broken settings are then said once.
        AppSettings.load(plan.app_dir, os.environ)
        return host_parts(plan, listener)

    async with (
        Supervisor() as supervisor,
        watching_if(wanted=watch, app_dir=plan.app_dir, data=plan.data) as watch_for,
    ):
        hosts = HostGroup(listener, parts)
        supervisor.keep(hosts)
        try:
            await interruption.unless(hosts.start())
        except Interrupted:
            logger.info("stopping before everything was started")
            return
        watch_for(hosts)
        logger.info("functions at http://localhost:%d; stop with Ctrl-C", port_of(listener))
        await interruption.wait()
        logger.info("stopping")
    logger.info("stopped")
