"""Task hubs with content, that a test damages; and what a client sees of them."""

import asyncio
import contextlib
import os
import random
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.scheduler.client import SchedulerClient
from tests.ports import free_port

from .conftest import Actions
from .killing import ROOT, Victim, Worker, answers

FILE, LOG = "default.taskhub.db", "default.taskhub.db-wal"
FINISHED = [f"done{number}" for number in range(6)]
WAITING = [f"wait{number}" for number in range(6)]
NEW = [f"new{number}" for number in range(6)]
ENTITIES = [f"@tally@{number}" for number in range(3)]
INPUT = '"%s"' % ("given " * 60)
_HEADER, _FRAME, _PAGE = 32, 24, 4096


def flow(instance_id: str, events: list[pb.HistoryEvent]) -> list[pb.OrchestratorAction]:
    """Runs one activity, and then is done; or else waits for an event."""
    if instance_id in FINISHED:
        done = answers(events, "taskCompleted")
        return [Actions.complete(f'"{"made " * 60}"')] if done else [Actions.task(1)]
    return []


async def fill(data: Path, *, stopped: bool) -> None:
    """Make a hub with content; its scheduler is stopped, or killed so that the log is there."""
    async with Victim.create(data) as victim, victim.running() as process:
        async with Worker(victim.client, {"flow": flow}).working():
            for instance_id in FINISHED + WAITING:
                await victim.start(instance_id, "flow", input=StringValue(value=INPUT))
            for instance_id in FINISHED:
                await victim.finished(instance_id)
            for entity_id in ENTITIES:
                await victim.signal(entity_id, "add")
                await victim.applied(entity_id, lambda done: done == ["add"])
            while {await victim.status(instance_id) for instance_id in WAITING} != {"RUNNING"}:
                pass
        for instance_id in NEW:
            await victim.start(instance_id, "flow", input=StringValue(value=INPUT))
        if stopped:
            process.terminate()
            await process.wait()


@dataclass
class Seen:
    """Everything a client is shown, as bytes by what it is about."""

    listed: dict[str, pb.OrchestrationState]
    entities: dict[str, pb.EntityMetadata]
    histories: dict[str, list[bytes] | str]

    def of(self, name: str) -> object:
        return self.listed.get(name), self.entities.get(name), self.histories.get(name)


class Opened:
    """A scheduler process on a data folder: it serves, or it has refused to."""

    def __init__(self, process: asyncio.subprocess.Process, client: SchedulerClient) -> None:
        self.process = process
        self.client = client
        self.log = ""
        self.refused = False

    async def call(self, method: str, request: object) -> Any:
        return await getattr(self.client.stub, method)(request, metadata=self.client.metadata)

    async def look(self) -> Seen:
        """Read it all, in pages; a list that fails fails the test."""
        query = pb.InstanceQuery(maxInstanceCount=4, fetchInputsAndOutputs=True)
        listed: list[pb.OrchestrationState] = []
        while True:
            page = await self.call("QueryInstances", pb.QueryInstancesRequest(query=query))
            listed += page.orchestrationState
            if not page.continuationToken.value:
                break
            query.continuationToken.CopyFrom(page.continuationToken)
        await self.call("ListInstanceIds", pb.ListInstanceIdsRequest())
        wanted = pb.EntityQuery(includeState=True)
        entities = await self.call("QueryEntities", pb.QueryEntitiesRequest(query=wanted))
        return Seen(
            {state.instanceId: state for state in listed},
            {entity.instanceId: entity for entity in entities.entities},
            {name: await self._history(name) for name in FINISHED + WAITING},
        )

    async def _history(self, instance_id: str) -> list[bytes] | str:
        request = pb.StreamInstanceHistoryRequest(instanceId=instance_id)
        stream = self.client.stub.StreamInstanceHistory(request, metadata=self.client.metadata)
        try:
            return [e.SerializeToString() async for chunk in stream for e in chunk.events]
        except grpc.aio.AioRpcError as error:
            return error.code().name


@contextlib.asynccontextmanager
async def opened(data: Path, *options: str) -> AsyncIterator[Opened]:
    """Start a scheduler, and wait until it answers or has ended."""
    port = free_port()
    log = data.with_suffix(".log")
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "local_runtime", "scheduler", "--no-dashboard"],
            *["--grpc-port", str(port), "--data", str(data), *options],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "4000"},
            stderr=out,
        )
    async with SchedulerClient.open(f"localhost:{port}", "default") as client:
        found = Opened(process, client)
        try:
            ended = asyncio.create_task(process.wait())
            answered = asyncio.ensure_future(
                client.stub.GetInstance(
                    pb.GetInstanceRequest(instanceId="x"),
                    metadata=client.metadata,
                    wait_for_ready=True,
                    timeout=30,
                )
            )
            await asyncio.wait({ended, answered}, return_when=asyncio.FIRST_COMPLETED)
            found.refused = ended.done()
            answered.cancel()
            await asyncio.gather(answered, return_exceptions=True)
            found.log = log.read_text()
            yield found
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            found.log = log.read_text()


def content(data: Path) -> dict[str, bytes]:
    """Return the files of a data folder that hold a hub, with their content."""
    return {path.name: path.read_bytes() for path in data.iterdir() if ".taskhub." in path.name}


def copy_of(data: Path, name: str) -> Path:
    return Path(shutil.copytree(data, data.with_name(name)))


def flip(path: Path, bit: int) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[bit // 8] ^= 1 << bit % 8
    path.write_bytes(damaged)


def bits_in_use(path: Path, rng: random.Random) -> Iterator[int]:
    """Random bits of those bytes of a file that are not zero: the rest is mostly free space."""
    data = path.read_bytes()
    while True:
        place = rng.randrange(len(data))
        if data[place]:
            yield place * 8 + rng.randrange(8)


def frames_in_use(log: Path) -> list[tuple[int, bool]]:
    """Return where each frame of a log begins that belongs to it, and whether it is a commit's."""
    data = log.read_bytes()
    places = range(_HEADER, len(data), _FRAME + _PAGE)
    return [
        (place, any(data[place + 4 : place + 8]))
        for place in places
        if data[place + 8 : place + 16] == data[16:24]
    ]
