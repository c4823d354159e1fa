"""Writes the histories: runs each flow in the whole runtime and keeps what its scheduler stored.

`python -m tests.replay.record FOLDER VERSION [FLOW ...]`. What is written is never edited. A new
form of call gets a new version beside the old one.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.json_format import MessageToDict

from local_runtime.scheduler.client import SchedulerClient
from tests.durable_agents.scripted_model import Reply, ScriptedModel, calls, fails, says
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
WEBHOOK = "/runtime/webhooks/durabletask"
PARIS = json.dumps({"name": "Paris", "people": 2100000})

RUN = {"agent": "Clerk", "messages": [{"role": "user", "parts": [{"text": "How many?"}]}]}
STOCK = calls(("c1", "stock", '{"item": "bolt"}'))
SEVERAL = calls(
    ("c1", "stock", '{"item": "bolt"}'),
    ("c2", "stock", '{"item": "air"}'),
    ("c3", "order", '{"item": "nut"}'),
    ("c4", "Ada", '{"message": "And you?"}'),
    ("c5", "nothing", "{}"),
    text="Let me see.",
)
HANDOFF = calls(
    ("c1", "stock", '{"item": "bolt"}'), ("c2", "transfer_to_Bob", "{}"), text="Bob tells you."
)

# The name of an orchestration, and after a dot what sets one of its histories apart.
FLOWS: dict[str, tuple[Any, list[Reply], str]] = {
    "agent_orchestration_workflow": ("Capital?", [says("Paris."), says("The same.")], ""),
    "content_pipeline": (
        {"topic": "Bees"},
        [says("Notes."), fails(503), says("A draft."), says("An article.")],
        "",
    ),
    "structured": ("Which?", [says("Paris!"), says(PARIS), says("Large.")], "go"),
    "by_schema": ("Which?", [says('{"name": "paris", "people": 1}'), says(PARIS)], ""),
    "retried": (
        "Hello?",
        [fails(500), fails(429, retry_after="1"), says("One."), says("Two.")],
        "",
    ),
    "fallen_back": ("Hello?", [fails(400, "bad_prompt"), says("Bob here.")], ""),
    "never_fits": ("Which?", [says('{"name": "Paris"}')], ""),
    "swapped": ("Hello?", [says("One."), says("Two.")], ""),
    "timed": ("Hello?", [says("In time.")], "go"),
    "with_tools": ("How many?", [STOCK, says("In Paris?"), says(PARIS)], ""),
    "run-Ada": (RUN | {"agent": "Ada"}, [fails(500), says("Ada here.")], ""),
    "run-Clerk": (RUN, [SEVERAL, says("Ada's word."), says("All is told.")], ""),
    "run-Clerk.handoff": (RUN, [HANDOFF, says("Bob here.")], ""),
    "run-Clerk.session": (RUN | {"session": "s1"}, [STOCK, says("Four.")], ""),
    "run-Clerk.session2": (RUN | {"session": "s1"}, [says("As I said.")], ""),
}


async def record(folder: Path, version: str, names: list[str]) -> None:
    async with ScriptedModel() as model:
        with tempfile.TemporaryDirectory() as data:
            ports = [free_port() for _ in range(3)]
            process = await _start(model.url, data, ports)
            try:
                for name in names:
                    document = await _run(name, model, ports)
                    text = json.dumps(document, indent=1, sort_keys=True) + "\n"
                    (folder / f"{name}@{version}.json").write_text(text)
            finally:
                process.terminate()
                await process.wait()


async def _start(model_url: str, data: str, ports: list[int]) -> asyncio.subprocess.Process:
    flags = ("--port", "--scheduler-port", "--dashboard-port")
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "local_runtime", "start"],
        *["--app", str(ROOT / "tests" / "replay" / "app"), "--data", data],
        *[part for flag, port in zip(flags, ports, strict=True) for part in (flag, str(port))],
        cwd=ROOT,
        env={
            **os.environ,
            "OPENAI_BASE_URL": f"{model_url}/v1",
            "OPENAI_MODEL": "small",
            "AGENT_RETRY_FIRST_INTERVAL_SECONDS": "0.25",
        },
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if b"Stop with Ctrl-C" in line:
            return process
    raise SystemExit("the runtime did not start")


async def _run(name: str, model: ScriptedModel, ports: list[int]) -> dict[str, Any]:
    given, replies, event = FLOWS[name]
    model.will(*replies)
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}{WEBHOOK}", timeout=60) as http,
        SchedulerClient.open(f"127.0.0.1:{ports[1]}", "default") as client,
    ):
        orchestration = name.partition(".")[0]
        (await http.post(f"/orchestrators/{orchestration}/{name}", json=given)).raise_for_status()
        if event:
            history = f"/instances/{name}?showHistory=true"
            while not _settled((await http.get(history)).json()):  # noqa: ASYNC110 - no change is told
                await asyncio.sleep(0.1)
            (await http.post(f"/instances/{name}/raiseEvent/{event}", json="")).raise_for_status()
        await client.stub.WaitForInstanceCompletion(
            pb.GetInstanceRequest(instanceId=name), metadata=client.metadata
        )
        stream = client.stub.StreamInstanceHistory(
            pb.StreamInstanceHistoryRequest(instanceId=name), metadata=client.metadata
        )
        events = [_plain(event) async for chunk in stream for event in chunk.events]
    return {"orchestration": orchestration, "events": events}


def _plain(event: pb.HistoryEvent) -> dict[str, Any]:
    # Nothing looks at stacks in a replay, and they tell of the folders of a machine.
    for kind in ("taskFailed", "executionCompleted", "subOrchestrationInstanceFailed"):
        if event.HasField(kind):
            getattr(event, kind).failureDetails.ClearField("stackTrace")
            getattr(event, kind).failureDetails.innerFailure.ClearField("stackTrace")
    return MessageToDict(event)


def _settled(status: dict[str, Any]) -> bool:
    """Whether the model has been asked for all that comes before the event, timers included."""
    # A task that has ended is not also told of as begun; a timer is.
    kinds = [event["EventType"] for event in status.get("historyEvents", [])]
    waiting = {"TaskScheduled", "SubOrchestrationInstanceCreated"} & set(kinds)
    timers = kinds.count("TimerCreated") - kinds.count("TimerFired")
    return len(kinds) > 1 and not waiting and timers == 0


if __name__ == "__main__":
    target, version, *wanted = sys.argv[1:]
    asyncio.run(record(Path(target), version, wanted or list(FLOWS)))
