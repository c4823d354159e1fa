"""A story that agents of `agents_app` play, step by step, as a test lets them; and who drives it.

    Lead    says `lead-1`: calls note, Helper (an agent as a tool) and wire (to be approved)
    Helper  says `helper-1`: calls look; then `helper-2`: its answer
    Lead    says `lead-2`: hands over to Closer
    Closer  says `closer-1`: calls keep; then `closer-2`: the answer of the run

A step is a request to a model, by the name above, or a tool's call, by the tool's name.
"""

import asyncio
import json
import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.client import SchedulerClient
from tests.durable_agents.scripted_model import Reply, Request, ScriptedModel, calls, says
from tests.end_to_end.runtime_process import WEBHOOK, Runtime

APP = Path(__file__).parent / "agents_app"
MODEL_STEPS = ("lead-1", "helper-1", "helper-2", "lead-2", "closer-1", "closer-2")
TOOLS = ("note", "look", "wire", "keep")
BEFORE_THE_ANSWER = ("lead-1", "note", "helper-1", "look", "helper-2")
_RUN = re.compile(r"run=(\w+)|\"run\": \"(\w+)\"")
_PATIENCE = 60
_PAUSE = 0.1  # between looks at another process


class Story:
    """What the model's server answers, and what it holds back."""

    def __init__(self, model: ScriptedModel, effects: Path) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()
        self.unanswered: set[tuple[str, str]] = set()
        self._came: defaultdict[tuple[str, str], asyncio.Event] = defaultdict(asyncio.Event)
        self._held: dict[tuple[str, str], asyncio.Event] = {}
        self._last: dict[str, list[dict[str, Any]]] = {}
        self._effects = effects
        model.respond = self._respond

    def hold(self, run: str, step: str) -> None:
        """Let a step of a run not end."""
        self._held[run, step] = asyncio.Event()

    def release(self, run: str, step: str) -> None:
        """Let it end."""
        self._held[run, step].set()

    def release_all(self) -> None:
        """Let all of them end."""
        for held in self._held.values():
            held.set()

    async def reaches(self, run: str, step: str) -> None:
        """Wait until a step of a run is under way."""
        await asyncio.wait_for(self._came[run, step].wait(), _PATIENCE)

    def effects(self, run: str) -> list[tuple[str, str]]:
        """What the tools of a run did, each with the idempotency key of its call."""
        lines = map(json.loads, self._effects.read_text().splitlines())
        return [(name, key) for one, name, key in lines if one == run]

    def told(self, run: str) -> dict[str, str]:
        """Return what the last request of a run's Lead tells of its calls, by their ids."""
        last = self._last[run]
        return {one["tool_call_id"]: one["content"] for one in last if one["role"] == "tool"}

    def _respond(self, request: Request) -> Reply:
        run, step, reply = _next(request)
        if step == "lead-2":
            self._last[run] = request.body["messages"]
        self.asked[run, step] += 1
        self._came[run, step].set()
        if (run, step) in self.unanswered:
            return Reply(silent=True)
        return replace(reply, held=self._held.get((run, step)))


def _next(request: Request) -> tuple[str, str, Reply]:
    """Return the run and the step that a request belongs to, and its reply."""
    if request.method == "GET":
        _, _, run, step = request.path.split("/")
        return run, step, Reply()
    system, *messages = request.body["messages"]
    found = [one for message in messages for one in _RUN.findall(str(message["content"]))]
    run = "".join(found[0])
    given = json.dumps({"run": run})
    if "second" in messages[-1]["content"]:
        return run, "second", says("hello")
    told = messages[-1]["role"] == "tool"
    match system["content"]:
        case "You are Lead." if told:
            tools = [one["function"]["name"] for one in request.body.get("tools", [])]
            transfer = ("t", "transfer_to_Closer", "{}")
            may = transfer[1] in tools
            return run, "lead-2", calls(transfer) if may else says(f"Done: {run}.")
        case "You are Lead.":
            asked = json.dumps({"message": f"Where? run={run}"})
            three = ("n", "note", given), ("h", "Helper", asked), ("w", "wire", given)
            return run, "lead-1", calls(*three)
        case "You are Helper.":
            reply = says(f"There. run={run}") if told else calls(("l", "look", given))
            return run, f"helper-{1 + told}", reply
        case _:
            reply = says(f"Done: {run}.") if told else calls(("k", "keep", given))
            return run, f"closer-{1 + told}", reply


class Stage(Runtime):
    """The runtime that the story is played in."""

    def __init__(
        self, data: Path, settings: dict[str, str], app: Path, options: tuple[str, ...] = ()
    ) -> None:
        super().__init__(data, settings, app, options)
        self._questions: dict[str, str] = {}  # approvals that were asked for, by instance
        self._listing = asyncio.Lock()

    @classmethod
    def of(
        cls, folder: Path, model: ScriptedModel, app: Path = APP, options: tuple[str, ...] = ()
    ) -> "Stage":
        """Return one that is not started yet."""
        settings = {
            "OPENAI_BASE_URL": f"{model.url}/v1",
            "OPENAI_MODEL": "small",
            "STORY_EFFECTS": str(folder / "effects"),
        }
        (folder / "effects").touch()
        return cls(folder / "data", settings, app, options)

    async def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request, again while its receiver, or the scheduler, is being killed.

        Raises:
            AssertionError: There is no answer for too long; with what came of each try.
        """
        clock = asyncio.get_running_loop().time
        began, tries = clock(), list[str]()
        async with httpx.AsyncClient(base_url=self.base_url, timeout=_PATIENCE / 2) as http:
            while clock() - began < _PATIENCE:
                try:
                    answer = await http.request(method, path, **request)
                    if answer.status_code != 503:
                        return answer
                    tries.append(f"{clock() - began:.1f} s: {answer.text[:200]}")
                except httpx.TransportError as error:
                    tries.append(f"{clock() - began:.1f} s: {error!r}")
                await asyncio.sleep(_PAUSE)
        raise AssertionError(f"{method} {path}: {tries[:3]} ... {tries[-10:]}")

    async def begin(self, name: str) -> str:
        """Begin a run of its own session, and return its instance id."""
        body = {"message": f"Go. run={name}", "session_id": name, "wait_for_response": False}
        answer = await self.send("POST", "/api/agents/Lead/run", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()["correlation_id"]

    async def answer(self, instance: str) -> Any:
        """Wait for the end of a run, and return what it answers."""
        path = f"/api/agents/Lead/runs/{instance}?wait_seconds=20"
        answer = await self.send("GET", path)
        while answer.status_code == 202:
            answer = await self.send("GET", path)
        return answer.json()

    async def until_logged(self, text: str, times: int = 1) -> None:
        """Wait until the log says something so many times."""
        async with asyncio.timeout(_PATIENCE):
            while self.log_text().count(text) < times:  # noqa: ASYNC110
                await asyncio.sleep(_PAUSE)

    async def second(self, name: str) -> Any:
        """Send a second message to the session of a run, and return the answer."""
        body = {"message": f"second run={name}", "session_id": name}
        key = {"Idempotency-Key": f"second-{name}"}
        return (await self.send("POST", "/api/agents/Lead/run", json=body, headers=key)).json()

    async def status(self, instance: str) -> dict[str, Any]:
        """Return the status of an instance with its history."""
        path = f"{WEBHOOK}/instances/{instance}?showHistory=true"
        return (await self.send("GET", path)).json()

    async def recorded(self, instance: str) -> list[str]:
        """Return what has ended in a run, by its history: activities, and runs of agents."""
        ends = ("TaskCompleted", "SubOrchestrationInstanceCompleted")
        events = (await self.status(instance))["historyEvents"]
        return [event["FunctionName"] for event in events if event["EventType"] in ends]

    async def until_recorded(self, instance: str, *names: str) -> None:
        """Wait until so many activities and runs of these names have ended in a run."""
        async with asyncio.timeout(_PATIENCE):
            while Counter(names) - Counter(await self.recorded(instance)):  # noqa: ASYNC110
                await asyncio.sleep(_PAUSE)

    async def suspend(self, instance: str) -> None:
        """Suspend an instance, and wait until it is."""
        await self.send("POST", f"{WEBHOOK}/instances/{instance}/suspend")
        async with asyncio.timeout(_PATIENCE):
            while (await self.status(instance))["runtimeStatus"] != "Suspended":  # noqa: ASYNC110
                await asyncio.sleep(_PAUSE)

    async def resume(self, instance: str) -> None:
        """Let a suspended instance go on."""
        await self.send("POST", f"{WEBHOOK}/instances/{instance}/resume")

    async def terminate(self, instance: str) -> None:
        """Terminate an instance by the scheduler alone: no host is needed."""
        request = pb.TerminateRequest(instanceId=instance)
        async with SchedulerClient.open(f"127.0.0.1:{self.grpc_port}", "default") as client:
            stub: Any = client.stub
            await stub.TerminateInstance(request, metadata=client.metadata)

    async def question(self, instance: str) -> str:
        """Wait until a run asks for an approval, and return where it is answered."""
        async with asyncio.timeout(_PATIENCE):
            while instance not in self._questions:
                await self._list_questions()
        return f"/api/approvals/{instance}/{self._questions[instance]}"

    async def _list_questions(self) -> None:
        async with self._listing:
            listed = (await self.send("GET", "/api/approvals")).json()["approvals"]
            self._questions |= {one["instance_id"]: one["request_id"] for one in listed}
            await asyncio.sleep(_PAUSE)

    async def approve(self, instance: str) -> None:
        """Approve what a run asks for."""
        answer = await self.send("POST", await self.question(instance), json={"approved": True})
        # 409: an answer had been taken whose receiver was killed.
        assert answer.status_code in (200, 409), answer.text
