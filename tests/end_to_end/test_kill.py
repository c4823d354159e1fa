"""SIGKILL to any process of the runtime at any moment: nothing lost, nothing recorded is redone.

`KILL_ROUNDS` and `KILL_PIPELINES` make it longer.
"""

import asyncio
import contextlib
import json
import os
import random
import sqlite3
from pathlib import Path

import httpx
import pytest

from local_runtime.scheduler.storage import history, messages

from .model_server import serving
from .pipeline_model import PipelineModel, expected_output
from .runtime_process import Runtime, running

ROUNDS = int(os.environ.get("KILL_ROUNDS", "4"))
PIPELINES = int(os.environ.get("KILL_PIPELINES", "12"))
AGENTS = {1: "ResearchAgent", 2: "WriterAgent", 3: "EditorAgent"}
"""The agents of the content pipeline by the id of their task."""


def recorded_steps(file: Path, topics: dict[str, str]) -> set[tuple[str, str]]:
    """The agents' results that are on disk, by topic and agent."""
    found: set[tuple[str, str]] = set()
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        for instance_id, topic in topics.items():
            events = [e for turn in history.read_turns(connection, instance_id) for e in turn]
            events += [q.event for q in messages.queued_events(connection, instance_id)]
            done = {e.taskCompleted.taskScheduledId for e in events if e.HasField("taskCompleted")}
            found |= {(topic, AGENTS[task_id]) for task_id in done & set(AGENTS)}
    return found


async def post_all(runtime: Runtime, topics: dict[str, str]) -> None:
    """Start every pipeline, again where the answer was lost."""
    for instance_id, topic in topics.items():
        accepted = False
        while not accepted:
            with contextlib.suppress(httpx.HTTPError):
                path = f"/orchestrators/content_pipeline/{instance_id}"
                reply = await runtime.post(path, {"topic": topic})
                # 409: a start whose answer was lost had been taken.
                accepted = reply.status_code in (202, 409)
                assert accepted or reply.status_code >= 500, reply.text
            if not accepted:
                await asyncio.sleep(0.05)  # nothing listens, or the scheduler is not back yet


@pytest.mark.crash
@pytest.mark.timeout(600)
async def test_killed_at_random_moments_every_pipeline_completes_and_no_recorded_step_is_repeated(
    tmp_path: Path,
) -> None:
    model = PipelineModel(latency=0.05)
    chance = random.Random(os.environ.get("KILL_SEED"))
    topics = {f"wf{number}": f"topic-{number}" for number in range(PIPELINES)}
    file = tmp_path / "data" / "default.taskhub.db"
    repeated: list[tuple[str, str]] = []
    async with serving(model.answer) as settings, running(tmp_path / "data", **settings) as runtime:
        posting: list[asyncio.Task[None]] = []
        for number in range(ROUNDS):
            batch = dict(list(topics.items())[number::ROUNDS])
            posting.append(asyncio.create_task(post_all(runtime, batch)))
            # At the arrival of some further call to the model, or a moment after it.
            await asyncio.wait_for(model.after(len(model.calls) + chance.randint(1, 5)), 30)
            await asyncio.sleep(chance.uniform(0, 0.15))
            victim = "everything" if number % 2 == 0 else chance.choice(["scheduler", "host"])
            if victim == "everything":
                await runtime.kill_everything()
                recorded, since = recorded_steps(file, topics), len(model.calls)
                await runtime.start()
                await asyncio.gather(*posting)
                repeated += [call for call in model.calls[since:] if call in recorded]
            else:
                runtime.kill(victim)
        await asyncio.gather(*posting)
        recorded, since = recorded_steps(file, topics), len(model.calls)
        states = {instance_id: await runtime.wait(instance_id) for instance_id in topics}
        repeated += [call for call in model.calls[since:] if call in recorded]
    outputs = {instance_id: json.loads(s.output.value) for instance_id, s in states.items()}
    assert outputs == {i: expected_output(topic) for i, topic in topics.items()}
    assert repeated == []
