"""Puts together who answers requests once the app is loaded: the front door, and what is behind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from local_runtime.background import TaskReport
from local_runtime.functions_host.admin.routes import admin_of
from local_runtime.functions_host.app.function_index import FunctionIndex
from local_runtime.functions_host.app.invocation import Invoker
from local_runtime.functions_host.keys.browser_guard import BrowserGuard
from local_runtime.functions_host.keys.key_store import KeyStore
from local_runtime.functions_host.keys.protection import Protection
from local_runtime.functions_host.web.front_door import FrontDoor
from local_runtime.functions_host.web.home_page import HomeFacts, HomePage
from local_runtime.scheduler.client import SchedulerClient
from local_runtime.settings import AppSettings


@dataclass(frozen=True)
class Opening:
    """The app, and what its process has to serve it with."""

    app: AppSettings
    index: FunctionIndex
    invoker: Invoker
    scheduler: SchedulerClient
    background: Callable[[], Sequence[TaskReport]]
    """How the background tasks of the process are."""
    keys: KeyStore
    port: int
    asks_for_keys: bool
    dashboard_url: str | None

    def front_door(self) -> FrontDoor:
        """Return what answers the requests to this app."""
        app, host = self.app, self.app.host
        guard = BrowserGuard(use_forwarded_host=host.use_forwarded_host)
        protection = Protection(self.keys, guard, asks_for_keys=self.asks_for_keys)
        facts = HomeFacts(
            app.app_dir, self.scheduler.task_hub, host.http.route_prefix, self.dashboard_url
        )
        home = HomePage(self.index, protection, facts)
        admin = admin_of(
            app, self.index, self.invoker, protection, self.keys, self.port, self.background
        )
        return FrontDoor(self.index, self.invoker, self.scheduler, host, protection, admin, home)
