"""An app with all that it needs to run in a test: state, workers, a port for its clients."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from durable_agents.testing.asking import Verified
from durable_agents.testing.client_service import APP_HUB, TEST_HUB, ClientService
from durable_agents.testing.functions import AppFunctions, client_configuration
from durable_agents.testing.scripted_model import ScriptedModel
from durable_agents.testing.task_hub import TaskHub
from durable_agents.testing.work import Workers

type App = func.FunctionRegister | Callable[[], func.FunctionRegister]


class RunningApp:
    """Does an app's work until everything waits, and moves the clock when it is told to.

    Args:
        app: The app, or a function that makes it: then it is made anew after each kill.
        now: The moment at which time begins, in UTC.
        kill_after: After how many recorded steps everything that runs is killed, once.
        patience: How many seconds of real time may pass without a step.

    Attributes:
        hub: The state.
        workers: What runs.
        steps: How many steps have been recorded.
    """

    def __init__(self, app: App, *, now: datetime, kill_after: int | None, patience: float) -> None:
        self._app = app
        self._made = self._make()
        self._kill_after = kill_after
        self._patience = patience
        self._service: ClientService | None = None
        self._port = 0
        self._own_client: df.DurableFunctionsClient | None = None
        self.steps = 0
        self.hub = TaskHub(now)
        self.workers = Workers(self.hub, AppFunctions(self._made), self._committed)

    @property
    def functions(self) -> AppFunctions:
        """The functions of the app."""
        return self.workers.functions

    @property
    def next_due(self) -> datetime | None:
        """When something is due next."""
        found = [due for due in (self.hub.next_due(), self.workers.next_due()) if due]
        return min(found, default=None)

    async def open(self) -> None:
        """Let the app's durable clients find their scheduler, if it has any."""
        if self.functions.has_clients:
            await self._serve()

    async def close(self) -> None:
        """End all that runs."""
        self.workers.forget_all()
        if self._own_client is not None:
            await self._own_client.close()
        if self._service is not None:
            await self._service.close()

    async def settle(self) -> None:
        """Do all work until everything waits.

        Raises:
            TimeoutError: No step came to its end within the patience; what runs is named.
        """
        loop = asyncio.get_running_loop()
        limit = loop.time() + self._patience
        while self.workers.has_work or self.workers.is_busy:
            steps = self.steps
            await self.workers.step()
            if self.steps != steps:
                limit = loop.time() + self._patience
            elif loop.time() > limit:
                names = ", ".join(self.workers.names)
                raise TimeoutError(
                    f"after {self._patience} s of real time these still run: {names}. Give what "
                    "should not end to `hold`, and what should take long to `takes`."
                )

    async def pass_to(self, moment: datetime) -> None:
        """Move the clock, let happen what is due then, and do all work."""
        self.hub.pass_to(moment)
        self.workers.deliver_due()
        await self.settle()

    async def end_of[T](self, task: asyncio.Task[T], what: str) -> T:
        """Return what a task comes to, letting time pass while it waits.

        Args:
            task: A function of the app that runs.
            what: What it is, for messages.

        Raises:
            AssertionError: It waits for something that time does not bring.
            ConnectionResetError: It was killed.
        """
        await self.settle()
        while not task.done():
            if task.cancelling():
                await asyncio.wait([task])
                break
            due = self.next_due
            if due is None:
                task.cancel()
                raise AssertionError(f"{what} does not end: it waits, and nothing is due")
            await self.pass_to(due)
        if task.cancelled():
            raise ConnectionResetError(f"the host was killed during {what}")
        return task.result()

    def kill(self) -> None:
        """Drop everything that runs: it will run again. What has been recorded stays."""
        self.workers.forget_all()
        if not isinstance(self._app, func.FunctionRegister):
            self._made = self._make()
            self.workers.functions = AppFunctions(self._made, self.functions.client)

    async def client(self) -> df.DurableFunctionsClient:
        """Return a durable client of the test's own."""
        if self._own_client is None:
            configuration = client_configuration(await self._serve(), TEST_HUB)
            self._own_client = df.DurableFunctionsClient(configuration)
        return self._own_client

    def verify(self, models: Iterable[Verified]) -> None:
        """Ask these models, those of the app's agents and those that were asked, if all is well.

        Raises:
            AssertionError: One of them was not asked what its script expects.
        """
        agents: Mapping[str, Any] = getattr(self._made, "agents", {})
        of_agents = [getattr(agent, "chat_client", None) for agent in agents.values()]
        found: list[Verified] = [*models, *self.workers.models]
        found += [model for model in of_agents if isinstance(model, ScriptedModel)]
        for index, model in enumerate(found):
            if not any(model is one for one in found[:index]):
                model.verify()

    async def _serve(self) -> int:
        if self._service is None:
            self._service = ClientService(self.hub)
            self._port = await self._service.open()
            self.functions.client = client_configuration(self._port, APP_HUB)
        return self._port

    def _committed(self) -> None:
        self.steps += 1
        if self.steps == self._kill_after:
            self.kill()

    def _make(self) -> func.FunctionRegister:
        return self._app if isinstance(self._app, func.FunctionRegister) else self._app()
