"""Runs a user's own app in a test: all of it in this process, and none of it in real time."""

import json as json_text
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import azure.durable_functions as df
from durabletask.internal import orchestrator_service_pb2 as pb

from durable_agents.people import ANSWER_FUNCTION, Verdict
from durable_agents.testing import events
from durable_agents.testing.asking import Verified
from durable_agents.testing.entities import entity_id
from durable_agents.testing.functions import ORCHESTRATION
from durable_agents.testing.http_requests import Answer, find_route, http_request
from durable_agents.testing.replaying import differences
from durable_agents.testing.requests_to_people import answer_to, chosen_request, pending_requests
from durable_agents.testing.running_app import App, RunningApp
from durable_agents.testing.runs import Run

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The moment at which a test's time begins, unless it says another."""


class DurableTest:
    """Runs an app: its orchestrations, activities, entities and HTTP functions.

    Every turn of an orchestrator is a replay of all before, as after a crash. Time is the test's:
    it stands still until `advance`, or until `result` or `request` have to wait for it.

    Args:
        app: The app, or a function that makes it: then it is made anew after each kill.
        now: The moment at which time begins.
        models: Scripted models to verify at the end, besides those of the app's agents.
        kill_after: After how many recorded steps the host is killed, once: everything that runs
            then is lost, and runs again.
        patience: How many seconds of real time an activity may take.
        route_prefix: What the paths of HTTP functions begin with.
    """

    def __init__(
        self,
        app: App,
        *,
        now: datetime = START,
        models: Iterable[Verified] = (),
        kill_after: int | None = None,
        patience: float = 10,
        route_prefix: str = "api",
    ) -> None:
        self._running = RunningApp(app, now=_in_utc(now), kill_after=kill_after, patience=patience)
        self._hub = self._running.hub
        self._models = list(models)
        self._prefix = route_prefix

    async def __aenter__(self) -> Self:
        await self._running.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None:
        await self._running.close()
        if error is None:
            self._running.verify(self._models)

    @property
    def now(self) -> datetime:
        """The moment at which the test's time stands, in UTC."""
        return self._hub.now

    @property
    def next_due(self) -> datetime | None:
        """When something is due next: a timer, a delayed signal or start, or an activity's end."""
        return self._running.next_due

    @property
    def steps(self) -> int:
        """How many steps have been recorded: turns, results of activities, entity operations."""
        return self._running.steps

    @property
    def runs(self) -> list[Run]:
        """All orchestrations, in the order of their start."""
        return [Run(self._hub, instance) for instance in self._hub.instances.values()]

    def find(self, instance_id: str) -> Run:
        """Return the orchestration with this id.

        Raises:
            LookupError: There is none.
        """
        return Run(self._hub, self._hub.require(instance_id))

    def entity(self, name: str, key: str) -> Any:
        """Return the state of an entity; None for one that is not there."""
        found = self._hub.entities.get(entity_id(f"@{name}@{key}"))
        return None if found is None or found.state is None else json_text.loads(found.state)

    async def start(self, name: str, input: Any = None, *, instance_id: str = "") -> Run:
        """Start an orchestration, and do all work until everything waits.

        Raises:
            LookupError: The app has no orchestrator of this name.
            ValueError: There is an orchestration with this id.
        """
        functions = self._running.functions
        if not functions.knows(ORCHESTRATION, name):
            raise LookupError(
                f"the app has no orchestrator '{name}'; it has: {functions.names(ORCHESTRATION)}"
            )
        started = pb.ExecutionStartedEvent(name=name, input=_text(input))
        found = self.find(self._hub.start(started, instance_id))
        await self.settle()
        return found

    async def run(self, name: str, input: Any = None, *, instance_id: str = "") -> Run:
        """Start an orchestration and return it when it has ended; see `result`."""
        return await self.result(await self.start(name, input, instance_id=instance_id))

    async def raise_event(self, run: Run | str, name: str, data: Any = None) -> None:
        """Tell an orchestration something, and do all work until everything waits.

        Raises:
            LookupError: There is no such orchestration.
        """
        self._hub.raise_event(_id(run), name, _json(data))
        await self.settle()

    async def signal_entity(self, name: str, key: str, operation: str, data: Any = None) -> None:
        """Send an operation to an entity, and do all work until everything waits."""
        target = entity_id(f"@{name}@{key}")
        asked = pb.SignalEntityRequest(instanceId=target, name=operation, input=_text(data))
        self._hub.send(target, events.signal(self.now, target, self._hub.new_id(), asked))
        await self.settle()

    async def terminate(self, run: Run | str, output: Any = None) -> None:
        """End an orchestration and its sub-orchestrations.

        Raises:
            LookupError: There is no such orchestration.
        """
        self._hub.require(_id(run))
        self._hub.terminate(_id(run), _json(output), recurse=True)
        await self.settle()

    async def suspend(self, run: Run | str, reason: str = "") -> None:
        """Pause an orchestration: what it is told waits.

        Raises:
            LookupError: There is no such orchestration.
        """
        self._hub.suspend(_id(run), reason)
        await self.settle()

    async def resume(self, run: Run | str, reason: str = "") -> None:
        """Let a paused orchestration go on.

        Raises:
            LookupError: There is no such orchestration.
        """
        self._hub.resume(_id(run), reason)
        await self.settle()

    async def settle(self) -> None:
        """Do all work until everything waits: for time, for an event, or for nothing.

        Raises:
            TimeoutError: An activity did not end within the patience; it is named.
        """
        await self._running.settle()

    async def advance(
        self,
        *,
        to: datetime | None = None,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """Let time pass: what is due happens at its moment, and then all work that comes of it.

        Args:
            to: The moment to which time passes, in place of a duration.
            weeks: How long, in weeks; the others are added to it.
            days: How long, in days.
            hours: How long, in hours.
            minutes: How long, in minutes.
            seconds: How long, in seconds.

        Raises:
            ValueError: The moment is in the past.
        """
        duration = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        end = self.now + duration if to is None else _in_utc(to)
        if end < self.now:
            raise ValueError(f"time does not go back from {self.now} to {end}")
        await self.settle()
        while (due := self.next_due) is not None and due <= end:
            await self._running.pass_to(due)
        self._hub.pass_to(end)
        await self.settle()

    async def result(self, run: Run | str) -> Run:
        """Return an orchestration when it has ended, well or not, letting time pass until then.

        Raises:
            AssertionError: It waits for something that time does not bring: it says for what.
        """
        run = self.find(_id(run))
        await self.settle()
        while not run.has_ended:
            due = self.next_due
            if due is None:
                raise AssertionError(f"{run} does not end: it waits for {run.waits_for()}")
            await self._running.pass_to(due)
        return run

    async def request(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request to an HTTP function of the app; return what it answers.

        If the function waits for an orchestration, time passes until that has ended, or until the
        function gives up.

        Args:
            method: The verb.
            url: The path, with the route prefix: `/api/agents/Ada/run`.
            json: The body, as JSON data.
            body: The body, when it is not JSON data.
            headers: Headers of the request.
            params: Parameters of the query, added to those of the URL.

        Raises:
            LookupError: No function answers to this verb and path.
            AssertionError: The function waits for something that time does not bring.
        """
        function, route = find_route(self._running.functions, self._prefix, method, url)
        request = http_request(
            method, url, route, json_body=json, body=body, headers=headers, params=params
        )
        answering = self._running.workers.answer(function, request)
        return await self._running.end_of(answering, f"{method} {url}")

    def pending(self, run: Run | str | None = None) -> list[dict[str, Any]]:
        """Return what people are asked by an orchestration and its children, or by all.

        Each is what `GET approvals` shows: `request_id`, `question`, `details`, `deadline`, ...
        """
        family = None if run is None else self.find(_id(run)).family
        return pending_requests(self._hub, family)

    async def answer(
        self, run: Run | str, answer: Any, *, request: str = "", who: str = ""
    ) -> Verdict:
        """Answer what an orchestration asks a person, and do all work until everything waits.

        Args:
            run: The orchestration.
            answer: The answer, as JSON data: `True`, or `{"approved": False, "reason": "..."}`.
            request: Which request, when there are several: its id, or a word in it.
            who: The id of the principal who answers.

        Returns:
            What became of it: its `outcome` is `accepted`, or why it was not.

        Raises:
            AssertionError: Nobody is asked anything, or it is not clear which request is meant.
        """
        chosen = chosen_request(self.pending(run), request)
        bringing = await self.run(ANSWER_FUNCTION, answer_to(chosen, answer, who))
        return Verdict.model_validate(bringing.output)

    async def client(self) -> df.DurableFunctionsClient:
        """Return a durable client of the test's own.

        Its calls do no work: `settle` afterwards. One that waits has to run beside the test.
        """
        return await self._running.client()

    def hold(self, *names: str) -> None:
        """Let no activity of these names begin, until they are released."""
        self._running.workers.conduct.held.update(names)

    async def release(self, *names: str) -> None:
        """Let held activities run; without names, all of them."""
        held = self._running.workers.conduct.held
        held.difference_update(names or set(held))
        await self.settle()

    def takes(self, name: str, duration: timedelta | float) -> None:
        """Let an activity take so long, in the test's time (seconds, or a timedelta).

        It runs at once; its result comes when the time has passed.
        """
        length = duration if isinstance(duration, timedelta) else timedelta(seconds=duration)
        self._running.workers.conduct.durations[name] = length

    def lose_result(self, name: str, times: int = 1) -> None:
        """Lose an activity's next results, as a crash just before they are recorded does.

        It has run, and will run again.
        """
        self._running.workers.conduct.lost[name] = times

    def kill(self) -> None:
        """Kill the host: everything that runs is lost, and will run again with the next work.

        What has been recorded stays. An app that is given as a function is made anew.
        """
        self._running.kill()

    async def replay(self, run: Run | str | None = None) -> list[str]:
        """Replay each turn of an orchestration, or of all, by the code of now.

        Returns:
            What is done differently, in words; empty if nothing is.
        """
        runs = self.runs if run is None else [self.find(_id(run))]
        found: list[str] = []
        for one in runs:
            turns = [turn for execution in one.executions for turn in execution.turns]
            found += await differences(self._running.functions, turns, one.id)
        return found


def _in_utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _id(run: Run | str) -> str:
    return run if isinstance(run, str) else run.id


def _json(value: Any) -> str | None:
    return None if value is None else json_text.dumps(value)


def _text(value: Any) -> Any:
    return events.text(_json(value))
