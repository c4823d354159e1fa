"""The command `start`: the whole runtime in the foreground until somebody stops it."""

import contextlib
import logging
from collections.abc import Callable

from local_runtime.commands.banner import banner
from local_runtime.commands.watch_option import watching_if
from local_runtime.processes.interruption import Interrupted, Interruption
from local_runtime.processes.runtime import Plan, start_runtime
from local_runtime.processes.supervisor import Supervisor

logger = logging.getLogger("local_runtime.start")


async def run_service(plan: Plan, show: Callable[[str], None]) -> None:
    """Start the runtime, show the banner, and return when it has been told to stop and has.

    Raises:
        StartupError: A part cannot start, or go on; none is left running.
    """
    interruption = Interruption()
    async with (
        Supervisor() as supervisor,
        watching_if(wanted=plan.watch, app_dir=plan.app_dir, data=plan.data) as watch_for,
    ):
        try:
            running = await interruption.unless(
                supervisor.unless_failing(start_runtime(supervisor, plan))
            )
        except Interrupted:
            logger.info("stopping before everything was started")
            return
        watch_for(running.hosts)
        show(banner(running))
        with contextlib.suppress(Interrupted):
            await interruption.unless(supervisor.failure())
        logger.info("stopping")
    logger.info("stopped")
