"""Processes of the whole runtime are killed at each boundary between the steps of agents' runs.

Many runs of one story stand still, each at another point; then one kill is for all of them. A run
stands still in a step that the model's server holds back, or suspended: what it waited for is
recorded then, and it has not been told.
"""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.durable_agents.scripted_model import ScriptedModel
from tests.end_to_end.agent_story import BEFORE_THE_ANSWER, MODEL_STEPS, TOOLS, Stage, Story

pytestmark = [pytest.mark.crash, pytest.mark.timeout(240)]

STOPPED_SECONDS = 12  # longer than a worker that does not answer keeps its work
ACTIVITIES = {
    "lead-1": ["Lead"],
    "note": ["note"],
    "helper-2": ["run-Helper"],
    "wire": ["wire"],
    "lead-2": ["Lead", "Lead"],
    "closer-1": ["Closer"],
    "keep": ["keep"],
    "closer-2": ["Closer", "Closer"],
}
"""What has been recorded in a run's history when a step of it has ended."""


@dataclass
class Halt:
    """A run that stands still.

    Attributes:
        step: Where: in this step, or `ask` and `answer` for before and after the approval's answer.
        told: Whether it has been told what has ended; if not, it is suspended.
        instance: Its instance id.
    """

    step: str
    told: bool = True
    instance: str = ""

    @property
    def name(self) -> str:
        return f"{self.step.replace('-', '_')}{'' if self.told else '_ended'}"

    @property
    def under_way(self) -> str:
        """The step that a kill may repeat; empty if there is none."""
        return self.step if self.told and self.step in (*MODEL_STEPS, *TOOLS) else ""


def halts() -> list[Halt]:
    """Return one of each point of the story."""
    held = [Halt(step) for step in (*MODEL_STEPS, *TOOLS, "ask")]
    return [*held, *(Halt(step, told=False) for step in (*ACTIVITIES, "answer"))]


async def stand_still(stage: Stage, story: Story, halt: Halt) -> None:
    """Begin a run, and return when it stands still at its point and nothing else of it goes on."""
    if halt.step not in ("ask", "answer"):
        story.hold(halt.name, halt.step)
    halt.instance = await stage.begin(halt.name)
    if halt.step not in (*BEFORE_THE_ANSWER, "ask", "answer"):
        await stage.approve(halt.instance)
    if halt.step not in ("ask", "answer"):
        await story.reaches(halt.name, halt.step)
    if halt.step in (*BEFORE_THE_ANSWER[1:], "ask", "answer"):
        await stage.question(halt.instance)
        beside = {"note": ["run-Helper"], "ask": ["note", "run-Helper"]}
        beside["answer"] = beside["ask"]
        await stage.until_recorded(halt.instance, "Lead", *beside.get(halt.step, ["note"]))
    if not halt.told:
        await stage.suspend(halt.instance)
        if halt.step == "answer":
            await stage.approve(halt.instance)
        else:
            story.release(halt.name, halt.step)
            await stage.until_recorded(halt.instance, *ACTIVITIES[halt.step])


async def go_on(stage: Stage, story: Story, halt: Halt) -> None:
    """Let a run go on to its end, and look at what became of it."""
    if not halt.told:
        await stage.resume(halt.instance)
    if halt.step in (*BEFORE_THE_ANSWER, "ask"):
        await stage.approve(halt.instance)
    answer = await stage.answer(halt.instance)
    assert answer.get("response") == f"Done: {halt.name}.", (halt.name, answer)
    assert (await stage.second(halt.name))["response"] == "hello"
    assert problems(story, halt) == []


def problems(story: Story, halt: Halt) -> list[str]:
    """Return which calls of a run were made too often, or under another key."""
    done = story.effects(halt.name)
    times = Counter(tool for tool, _ in done)
    times.update({step: story.asked[halt.name, step] for step in (*MODEL_STEPS, "second")})
    found = [
        f"{halt.name}: {step} {times[step]} times"
        for step in (*MODEL_STEPS, *TOOLS, "second")
        if times[step] != 1 and not (step == halt.under_way and times[step] == 2)
    ]
    return found + [f"{halt.name}: keys {done}"] * (len(set(done)) != len(TOOLS))


async def kill_everything(stage: Stage) -> None:
    await stage.kill_everything()
    await stage.start()


async def kill_the_host(stage: Stage) -> None:
    stage.kill("host")


async def kill_the_scheduler(stage: Stage) -> None:
    stage.kill("scheduler")


async def stop_the_host(stage: Stage) -> None:
    with stopped_host(stage):
        await asyncio.sleep(STOPPED_SECONDS)


@contextlib.contextmanager
def stopped_host(stage: Stage) -> Generator[None]:
    (pid,) = stage.pids("host")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def all_of(action: Callable[[Halt], Coroutine[Any, Any, None]], of: list[Halt]) -> None:
    async with asyncio.TaskGroup() as group:
        for halt in of:
            group.create_task(action(halt))


@pytest.mark.parametrize(
    "harm",
    [
        kill_everything,
        pytest.param(kill_the_host, marks=pytest.mark.soak),
        kill_the_scheduler,
        pytest.param(stop_the_host, marks=pytest.mark.soak),
    ],
)
async def test_at_each_boundary_of_a_run_a_kill_repeats_the_call_under_way_at_most(
    tmp_path: Path, harm: Callable[[Stage], Awaitable[None]]
) -> None:
    """Cases 15 (a), (f) and 19 (a), and all points beside them."""
    async with ScriptedModel() as model:
        story, stage = Story(model, tmp_path / "effects"), Stage.of(tmp_path, model)
        runs = halts()
        try:
            await stage.start()
            await all_of(lambda halt: stand_still(stage, story, halt), runs)
            await harm(stage)
            story.release_all()
            await all_of(lambda halt: go_on(stage, story, halt), runs)
        finally:
            story.release_all()
            await stage.stop()
        assert model.faults == []


@pytest.mark.parametrize("dies", [False, True])
async def test_run_that_ends_while_its_host_is_away_has_its_model_call_closed_and_frees_the_session(
    tmp_path: Path, *, dies: bool
) -> None:
    """Case 15 (d), with the host stopped or killed."""
    async with ScriptedModel() as model:
        story, stage = Story(model, tmp_path / "effects"), Stage.of(tmp_path, model)
        try:
            await stage.start()
            story.unanswered.add(("one", "lead-1"))
            instance = await stage.begin("one")
            await story.reaches("one", "lead-1")
            with stopped_host(stage):
                await stage.terminate(instance)
                if dies:
                    stage.kill("host")
            await asyncio.wait_for(model.left.wait(), 30)
            assert (await stage.second("one"))["response"] == "hello"
        finally:
            await stage.stop()
    assert story.asked["one", "lead-1"] == 1
    assert story.effects("one") == []
    said = [one["content"] for one in model.requests[-1].body["messages"]]
    assert said.count("second run=one") == 1
