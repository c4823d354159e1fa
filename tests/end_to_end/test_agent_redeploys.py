"""New code, with less in it, under agents that are in the middle of what it no longer has."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.durable_agents.scripted_model import ScriptedModel
from tests.end_to_end.agent_story import APP, Stage, Story

pytestmark = [pytest.mark.soak, pytest.mark.timeout(240)]

LOADED = "the changed app has taken over"
LESS = {
    '(note, helper.as_tool(description="Knows where things are."), wire)': "(keep,)",
    "handoffs=(closer,)": "handoffs=()",
    "[lead, helper, closer]": "[lead]",
}
"""What is taken away: all tools but one, the agent that is a tool, and the one to hand over to."""


class World:
    """A stage whose app changes, and the story on it."""

    def __init__(self, folder: Path, model: ScriptedModel) -> None:
        self._app = folder / "app"
        self._app.mkdir()
        (self._app / "host.json").write_text((APP / "host.json").read_text())
        self.deploy(less=False)
        self.story = Story(model, folder / "effects")
        self.stage = Stage.of(folder, model, self._app, ("--watch",))

    def deploy(self, *, less: bool = True) -> None:
        """Write the app's code: as it was, or with less in it."""
        code = (APP / "function_app.py").read_text()
        code = code.replace("Path(__file__).parents[3]", f"{str(APP.parents[2])!r}")
        for old, new in LESS.items():
            assert old in code
            code = code.replace(old, new) if less else code
        new = self._app / "function_app.py.tmp"
        new.write_text(code)
        new.rename(self._app / "function_app.py")

    async def redeploy(self) -> None:
        """Deploy less, and wait until that code runs."""
        self.deploy()
        await self.stage.until_logged(LOADED)

    async def held(self, run: str, step: str) -> str:
        """Begin a run and let it stand still in a step; its instance id."""
        self.story.hold(run, step)
        instance = await self.stage.begin(run)
        if step in ("wire", "lead-2", "closer-1", "keep", "closer-2"):
            await self.stage.approve(instance)
        await self.story.reaches(run, step)
        return instance

    async def ended_unread(self, run: str, step: str, *activities: str) -> str:
        """Begin a run, and suspend it when a step has ended, which it is not told."""
        instance = await self.held(run, step)
        await self.stage.suspend(instance)
        self.story.release(run, step)
        await self.stage.until_recorded(instance, *activities)
        return instance

    async def answers(self, run: str, instance: str) -> None:
        """See that a run answers, and that its session goes on."""
        answer = await self.stage.answer(instance)
        assert answer.get("response") == f"Done: {run}.", answer
        assert (await self.stage.second(run))["response"] == "hello"

    async def fails(self, instance: str) -> None:
        """See that a run fails, and says that a function of it is gone."""
        assert (await self.stage.answer(instance))["code"] == "AgentCallFailed"
        assert "ActivityFunctionNotFound" in (await self.stage.status(instance))["output"]


@asynccontextmanager
async def world(folder: Path) -> AsyncGenerator[World]:
    async with ScriptedModel() as model:
        new = World(folder, model)
        try:
            await new.stage.start()
            yield new
        finally:
            new.story.release_all()
            await new.stage.stop()
        assert model.faults == []


async def test_what_a_run_has_asked_for_and_new_code_has_not_is_told_to_its_model(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as it:
        called = await it.ended_unread("called", "lead-1", "Lead")
        asked = await it.held("asked", "helper-1")
        question = await it.stage.question(asked)
        await it.redeploy()
        it.story.release_all()
        await it.stage.resume(called)
        refused = await it.stage.send("POST", question, json={"approved": True})
        assert (refused.status_code, refused.json()["code"]) == (409, "CodeChanged")
        for run in (called, asked):
            place = await it.stage.question(run)
            no = {"approved": False, "reason": "not any more"}
            assert (await it.stage.send("POST", place, json=no)).status_code == 200
        await it.answers("called", called)
        await it.answers("asked", asked)
    told = it.story.told("called")
    assert "could not be run (ActivityFunctionNotFound)" in told["n"]
    assert "OrchestratorFunctionNotFound" in told["h"]
    assert "not any more" in told["w"]
    assert it.story.told("asked")["n"] == "note is done"
    assert "OrchestratorFunctionNotFound" in it.story.told("asked")["h"]
    assert [name for name, _ in it.story.effects("asked")] == ["note"]
    assert it.story.effects("called") == []


async def test_agent_that_is_gone_after_a_transfer_fails_the_run_and_not_its_session(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as it:
        before = await it.ended_unread("before", "lead-2", "Lead", "Lead")
        within = await it.ended_unread("within", "closer-1", "Closer")
        after = await it.held("after", "closer-2")
        await it.redeploy()
        it.story.release_all()
        for run in (before, within):
            await it.stage.resume(run)
        # Its last answer was under way, and is taken.
        await it.answers("after", after)
        for name, run in (("before", before), ("within", within)):
            await it.fails(run)
            assert (await it.stage.second(name))["response"] == "hello"
    assert it.story.asked["after", "closer-2"] == 1


async def test_call_that_outlasts_the_old_code_runs_again_in_the_new_one_and_no_other(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as it:
        asking = await it.held("asking", "lead-2")
        acting = await it.held("acting", "keep")
        await it.redeploy()
        async with asyncio.timeout(60):
            while it.story.asked["asking", "lead-2"] < 2 or len(it.story.effects("acting")) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        it.story.release_all()
        await it.answers("asking", asking)
        await it.fails(acting)
    assert it.story.asked["asking", "lead-2"] == 2
    effects = it.story.effects("acting")
    assert len(effects) == 5
    assert len(set(effects)) == 4  # the repeated one has its key
