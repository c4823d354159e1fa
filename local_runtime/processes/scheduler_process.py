"""The scheduler's process: the scheduler, and in the same process its dashboard."""

import asyncio
import logging
from dataclasses import dataclass

from local_runtime.clock import Clock, SystemClock, VirtualClock
from local_runtime.errors import StartupError
from local_runtime.processes.part_process import Facts, Ready
from local_runtime.scheduler.service.hubs import Hubs
from local_runtime.scheduler.service.server import SchedulerSettings, serve_hubs
from local_runtime.scheduler.service.virtual_time import VirtualTime, open_clock

logger = logging.getLogger("local_runtime.scheduler")


@dataclass(frozen=True)
class SchedulerProcess:
    """A scheduler, and the port of its dashboard unless it is to have none."""

    scheduler: SchedulerSettings
    dashboard_port: int | None
    functions_url: str | None = None
    """Where the Functions host of the same runtime answers, if it is known."""
    virtual_time: bool = False
    """Whether time moves only when the dashboard's port is asked to move it."""
    data_expected: bool = False
    """Whether a scheduler has used the data folder before, so that it must be there."""

    async def serve(self, ready: Ready, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; `ready` gets both ports once both are listened on.

        Raises:
            StartupError: The data folder or one of the ports cannot be used.
            CannotGoOn: The data folder, or a file in it, has vanished.
        """
        settings = self.scheduler
        if self.virtual_time and self.dashboard_port is None:
            raise StartupError(
                "--virtual-time needs the dashboard's port, where time is moved; "
                "leave --no-dashboard out."
            )
        clock: Clock = SystemClock()
        if self.virtual_time:
            clock = open_clock(settings.data, clock.now())
        hubs = Hubs.open(
            settings.data,
            clock,
            settings.durability,
            settings.retention,
            expected=self.data_expected,
        )
        movable = None
        if isinstance(clock, VirtualClock):
            movable = VirtualTime(clock, hubs, settings.data)
            logger.warning("virtual time: it is %s, and stays so until moved", clock.now())
        watching = asyncio.create_task(hubs.watch(), name="watch the data folder")
        # It ends only when the data is gone.
        watching.add_done_callback(lambda _: stop.set())
        try:
            await self._serve(hubs, clock, movable, ready, stop)
        finally:
            lost = watching.done()
            watching.cancel()
            await hubs.close()
        if lost:
            await watching

    async def _serve(
        self,
        hubs: Hubs,
        clock: Clock,
        movable: VirtualTime | None,
        ready: Ready,
        stop: asyncio.Event,
    ) -> None:
        port = self.scheduler.grpc_port
        if self.dashboard_port is None:
            await serve_hubs(hubs, port, ready=ready, stop=stop)
            return
        # Not at the top: a scheduler without the page starts in two thirds of the time.
        from local_runtime.dashboard import server as dashboard

        listening: asyncio.Future[Facts] = asyncio.get_running_loop().create_future()
        scheduler = asyncio.create_task(
            serve_hubs(hubs, port, ready=listening.set_result, stop=stop)
        )
        # Should the scheduler fail, the dashboard must not go on alone.
        scheduler.add_done_callback(lambda _: stop.set())
        try:
            await asyncio.wait((scheduler, listening), return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                facts = listening.result()
                settings = dashboard.DashboardSettings(
                    port=self.dashboard_port,
                    scheduler=f"127.0.0.1:{facts['grpc_port']}",
                    list_hubs=hubs.names,
                    functions_url=self.functions_url,
                    clock=clock,
                    movable=movable,
                    status=lambda: [hub.status() for hub in hubs.opened()],
                )
                await dashboard.serve(settings, ready=_with(facts, ready), stop=stop)
        finally:
            stop.set()
            await scheduler


def _with(scheduler: Facts, ready: Ready) -> Ready:
    """Report the facts of both once the dashboard, which comes second, reports its own."""
    return lambda dashboard: ready({**scheduler, "dashboard_port": dashboard["port"]})
