"""The command `start`: the whole runtime in the foreground until somebody stops it."""

import contextlib
import logging
from collections.abc import Callable

from local_runtime.commands.banner import banner
from local_runtime.processes.interruption import Interrupted, Interruption
from local_runtime.processes.runtime import Plan, start_runtime
from local_runtime.processes.supervisor import Supervisor

logger = logging.getLogger("local_runtime.start")


async def run_service(plan: Plan, show: Callable[[str], None]) -> None:
    """Start the runtime, show the banner, and return when it has been told to stop and has.

    Raises:
        StartupError: A part cannot start; none is left running.
    """
    interruption = Interruption()
    async with Supervisor() as supervisor, contextlib.AsyncExitStack() as watch:
        begin = None
        if plan.watch:
            from local_runtime.processes.app_watch import watching

            begin = await watch.enter_async_context(watching(plan.app_dir, plan.data))
        try:
            running = await interruption.unless(start_runtime(supervisor, plan))
        except Interrupted:
            logger.info("stopping before everything was started")
            return
        if begin is not None:
            begin(running.hosts)
        show(banner(running))
        await interruption.wait()
        logger.info("stopping")
    logger.info("stopped")
