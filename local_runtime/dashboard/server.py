"""Serves the dashboard on its port of the loopback interface."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from local_runtime.clock import Clock, SystemClock
from local_runtime.dashboard.clock_routes import MovableTime
from local_runtime.dashboard.hub_reader import HubReader
from local_runtime.dashboard.hub_status import HubStatus
from local_runtime.dashboard.pages import Pages
from local_runtime.http_server.server import listen, serving
from local_runtime.scheduler.client import SchedulerClient


@dataclass(frozen=True)
class DashboardSettings:
    """Where the dashboard listens and which scheduler it shows."""

    port: int
    scheduler: str
    """The scheduler's address, as a URL or as `host:port`."""
    list_hubs: Callable[[], list[str]]
    functions_url: str | None = None
    """Where the Functions host answers: shown to a person who has not started anything yet."""
    clock: Clock = field(default_factory=SystemClock)
    """The scheduler's clock, by which durations are shown."""
    movable: MovableTime | None = None
    """That clock, where it can be moved."""
    status: Callable[[], Sequence[HubStatus]] = list
    """How each task hub is at the moment."""


async def serve(
    settings: DashboardSettings,
    *,
    ready: Callable[[Mapping[str, object]], None],
    stop: asyncio.Event,
) -> None:
    """Serve until `stop` is set; `ready` gets the port once it is listened on.

    Raises:
        StartupError: The port is in use.
    """
    listener = listen(settings.port, "--dashboard-port")
    # The hub is named with each call, not with the channel.
    async with SchedulerClient.open(settings.scheduler, "") as client:
        reader = HubReader(client, settings.list_hubs)
        pages = Pages(
            reader, settings.functions_url, settings.clock, settings.movable, settings.status
        )
        async with serving(pages.application(), listener, grace_seconds=1) as port:
            ready({"port": port})
            await stop.wait()
