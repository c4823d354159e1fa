"""New code every few seconds under running agents, and an audit of what that cost.

`python -m tests.soak.redeploy --minutes 5 --runs 50 --workers 2`
"""

import argparse
import asyncio
import contextlib
import random
import secrets
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.durable_agents.scripted_model import ScriptedModel
from tests.end_to_end.agent_story import Stage
from tests.soak.changing_app import ChangingModel, deploy
from tests.soak.changing_tools import EFFECTS
from tests.soak.redeploy_audit import Audit, audit

_LOADED = "the changed app has taken over"


@dataclass(frozen=True)
class Settings:
    """How long, how many runs at a time, and how often the code changes."""

    seed: int
    seconds: float = 300
    runs: int = 50
    workers: int = 2
    every: float = 10
    patience: float = 120


@dataclass
class Churn:
    """A churn under way, and what came of it."""

    settings: Settings
    stage: Stage
    model: ChangingModel
    started: dict[str, str] = field(default_factory=dict[str, str])
    ends: dict[str, Any] = field(default_factory=dict[str, Any])
    counts: Counter[str] = field(default_factory=Counter[str])
    under_way: list[int] = field(default_factory=list[int])
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def redeploy(self) -> None:
        """Change the code over and over."""
        version = 1
        while not await self._over_within(self.settings.every):
            version += 1
            self.under_way.append(self.model.under_way)
            deploy(self.stage.app, version)
            self.counts["redeploys"] += 1

    async def answer_people(self) -> None:
        """Approve what is asked, or reject it, some seconds after it was."""
        chance = random.Random(f"{self.settings.seed}/people")
        while True:
            asked = (await self.stage.send("GET", "/api/approvals")).json()["approvals"]
            for one in asked:
                place = f"/api/approvals/{one['instance_id']}/{one['request_id']}"
                said = {"approved": chance.random() < 0.8}
                answer = await self.stage.send("POST", place, json=said)
                self.counts[f"approvals answered ({answer.status_code})"] += 1
            await asyncio.sleep(chance.uniform(0.5, 3))

    async def play(self, slot: int) -> None:
        """Have one run after the other, some of them in one session."""
        number = 0
        while not self.over.is_set():
            name, session = f"r{slot}n{number}", f"s{slot}" if slot % 3 == 0 else ""
            body = {"message": f"Go. run={name}", "wait_for_response": False}
            body |= {"session_id": f"{session}n{number // 4}"} if session else {}
            begun = await self.stage.send(
                "POST", "/api/agents/Lead/run", json=body, headers={"Idempotency-Key": name}
            )
            instance = begun.json()["correlation_id"]
            self.started[name] = instance
            # Shorter than a process lives: one that is replaced ends what waits in it with 503.
            path = f"/api/agents/Lead/runs/{instance}?wait_seconds=4"
            answer = await self.stage.send("GET", path)
            while answer.status_code == 202:
                answer = await self.stage.send("GET", path)
            self.ends[name] = answer.json()
            number += 1

    async def _over_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)
        return self.over.is_set()

    async def run(self) -> None:
        """Load and redeploy for so long, then wait until all runs have ended."""
        people = asyncio.create_task(self.answer_people())
        changing = asyncio.create_task(self.redeploy())
        slots = [asyncio.create_task(self.play(slot)) for slot in range(self.settings.runs)]
        try:
            await asyncio.wait(
                [*slots, people, changing],
                timeout=self.settings.seconds,
                return_when=asyncio.FIRST_EXCEPTION,
            )
            self.over.set()
            _, pending = await asyncio.wait(slots, timeout=self.settings.patience)
            self.counts["hung"] = len(pending)
        finally:
            self.over.set()
            for task in (people, changing, *slots):
                task.cancel()
            ended = await asyncio.gather(people, changing, *slots, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error


async def churn(settings: Settings, folder: Path) -> tuple[Churn, Audit]:
    """Run a churn in a folder, and audit what it has left there."""
    deploy(folder / "app", 1)
    (folder / "effects").touch()
    async with ScriptedModel() as server:
        model = ChangingModel(settings.seed)
        server.respond = model.respond
        environment = {
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "OPENAI_MODEL": "small",
            EFFECTS: str(folder / "effects"),
        }
        options = ("--watch", "--workers", str(settings.workers))
        stage = Stage(folder / "data", environment, folder / "app", options)
        found = Churn(settings, stage, model)
        try:
            await stage.start()
            await found.run()
        finally:
            await stage.stop()
        found.counts["taken over"] = stage.log_text().count(_LOADED)
        found.counts["faults of requests"] = len(server.faults)
    return found, audit(folder, model, found.started, found.ends)


def faults(found: Churn, seen: Audit) -> list[str]:
    """Return what is wrong: lost or hung runs, repeated steps, more waste than was under way."""
    problems = [*seen.faults]
    problems += [f"{found.counts['hung']} runs did not end"] * (found.counts["hung"] > 0)
    problems += ["a request that servers refuse"] * (found.counts["faults of requests"] > 0)
    if seen.wasted_requests > sum(found.under_way):
        problems.append("more model calls were wasted than were under way when the code changed")
    if not found.counts["taken over"]:
        problems.append("no new code was loaded")
    return problems


def table(found: Churn, seen: Audit) -> str:
    """What happened, in lines."""
    rows = {
        "runs started": len(found.started),
        "runs ended": len(found.ends),
        **{name: n for name, n in sorted(found.counts.items())},
        "model calls under way at the redeploys": sum(found.under_way),
        **seen.rows(),
    }
    lines = [f"{name:45} {value}" for name, value in rows.items()]
    return "\n".join([*lines, *(f"FAULT {fault}" for fault in faults(found, seen))])


def main() -> int:
    """Run a churn as the command line says, print its table, and keep the data of a bad one."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.redeploy", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--runs", type=int, default=50, help="at a time")
    parser.add_argument("--workers", type=int, default=2, help="processes of the host")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between new versions")
    parser.add_argument("--seed", type=int, default=None, help="of everything random")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else secrets.randbelow(2**31)
    print(f"churn of {given.minutes:g} minutes, --seed {seed}", file=sys.stderr)
    settings = Settings(seed, given.minutes * 60, given.runs, given.workers, given.every)
    folder = Path(tempfile.mkdtemp(prefix="churn-"))
    found, seen = asyncio.run(churn(settings, folder))
    print(table(found, seen))
    if faults(found, seen):
        print(f"kept: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
