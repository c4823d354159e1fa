"""The app whose code changes under its running agents, and the model's server behind them.

What a run does is foretold by its name: how many turns it has, and what is called in each. The
version of the code changes the instructions, the signature and the words of `work`, and which
`extra_<version>` there is: the one of the version before is gone.
"""

import asyncio
import json
import random
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.durable_agents.scripted_model import Reply, Request, calls, says
from tests.soak.executions import now

ROOT = Path(__file__).parents[2]
_CODE = '''
import sys
sys.path.insert(0, {root!r})
from durable_agents import Agent, AgentFunctionApp, ToolContext, chat_client_from_environment, tool
from tests.soak.changing_tools import act

@tool
async def work(run: str, context: ToolContext, version_{version}: int = {version}) -> str:
    """Work, as version {version} does."""
    return await act("work", run, context)

@tool(approval="always")
async def pay(run: str, context: ToolContext) -> str:
    """Pay, once a person has approved it."""
    return await act("pay", run, context)

@tool
async def extra_{version}(run: str, context: ToolContext) -> str:
    """Do what only version {version} can."""
    return await act("extra_{version}", run, context)

helper = Agent(name="Helper", instructions="Help, version {version}.", tools=(work,))
lead = Agent(
    name="Lead",
    instructions="Lead, version {version}.",
    tools=(work, pay, extra_{version}, helper.as_tool(description="Helps.")),
)
app = AgentFunctionApp([lead, helper], chat_client=chat_client_from_environment())
'''
_RUN = re.compile(r"run=(\w+)")
_SLOW = 0.4  # of the model's answers take seconds


def deploy(folder: Path, version: int) -> None:
    """Write the code of a version, in one step as a deployment does."""
    folder.mkdir(exist_ok=True)
    (folder / "host.json").write_text('{"version": "2.0"}')
    new = folder / "function_app.py.tmp"
    new.write_text(_CODE.format(root=str(ROOT), version=version))
    new.rename(folder / "function_app.py")


@dataclass
class Asked:
    """A request to the model: of which step, when it came, and when it was answered."""

    run: str
    turn: int
    began: float
    ended: float = 0.0


@dataclass
class ChangingModel:
    """Answers what a run's name foretells, after a while; the tools' ends are its as well."""

    seed: int
    asked: list[Asked] = field(default_factory=list[Asked])
    redeployed: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    @property
    def under_way(self) -> int:
        """How many requests wait for their answer."""
        return sum(not one.ended for one in self.asked)

    def requests(self) -> dict[str, dict[int, list[Asked]]]:
        """Return the requests of each run by their turns."""
        found: dict[str, dict[int, list[Asked]]] = defaultdict(lambda: defaultdict(list))
        for one in self.asked:
            found[one.run][one.turn].append(one)
        return found

    def respond(self, request: Request) -> Reply:
        """Return the reply to a request of a model or of a tool, which is held back for a while."""
        if request.method == "GET":
            return _later(Reply(), self._chance.uniform(0.05, 4))
        run, turn = _place(request)
        one = Asked(run, turn, now())
        self.asked.append(one)
        slow = self._chance.random() < _SLOW
        delay = self._chance.uniform(1, 5) if slow else self._chance.uniform(0.02, 0.5)
        return _later(_answer(request, run, turn), delay, one)


def _later(reply: Reply, seconds: float, one: Asked | None = None) -> Reply:
    held = asyncio.Event()

    def end() -> None:
        if one is not None:
            one.ended = now()
        held.set()

    asyncio.get_running_loop().call_later(seconds, end)
    return replace(reply, held=held)


def _place(request: Request) -> tuple[str, int]:
    """Return the run that a request belongs to, and how many turns it has had before."""
    run, turn = "", 0
    for message in request.body["messages"]:
        if message["role"] == "user":
            run, turn = _RUN.findall(message["content"])[-1], 0
        turn += message["role"] == "assistant"
    return run, turn


def turns_of(run: str) -> int:
    """Return how many answers a run's model gives; the last one is the run's."""
    return 2 if "h" in run else 3 + random.Random(run).randint(0, 2)


def _answer(request: Request, run: str, turn: int) -> Reply:
    if turn + 1 >= turns_of(run):
        return says(f"Done: {run}.")
    chance = random.Random(f"{run}/{turn}")
    tools = ["work"] * chance.randint(1, 2)
    if "h" not in run:
        offered = [one["function"]["name"] for one in request.body.get("tools", [])]
        tools += [name for name in offered if name.startswith("extra_") and chance.random() < 0.5]
        tools += ["Helper"] * (chance.random() < 0.3) + ["pay"] * (chance.random() < 0.3)
    asked: list[tuple[str, str, str]] = []
    for number, name in enumerate(tools):
        given = {"message": f"run={run}h{turn}"} if name == "Helper" else {"run": run}
        asked.append((f"c{turn}-{number}", name, json.dumps(given)))
    return calls(*asked)
