"""The Python SDK's history export: a job in an entity that lists finished instances and reads them.

The destination is a folder: the SDK takes any object that writes one file per instance. Its writer
for Azure Blob Storage needs a package that is not among the requirements.
"""

import asyncio
import contextlib
import gzip
import json
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from durabletask import client, task
from durabletask.extensions.history_export import (
    AsyncExportHistoryClient,
    ExportDestination,
    ExportFormat,
    ExportFormatKind,
    ExportHistoryClient,
    ExportJobCreationOptions,
    ExportJobDescription,
    ExportJobStatus,
    ExportMode,
)

from local_runtime.clock import VirtualClock
from local_runtime.scheduler.client import SchedulerClient

from .conftest import PATIENCE, START, Hub, kinds, running
from .sdk import Sdk, connected

BATCH = {
    "mode": ExportMode.BATCH,
    "completed_time_from": START,
    "completed_time_to": START + timedelta(hours=1),
}


class Folder:
    """A destination: a folder on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken = False
        self.writes = 0
        self._one = threading.Lock()

    def write(self, *, container: str, blob_name: str, payload: bytes, **_: object) -> None:
        with self._one:
            self.writes += 1
        if self.broken:
            raise OSError("no space left on device")
        path = self.path / container / blob_name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{threading.get_ident()}.part")
        part.write_bytes(payload)
        part.replace(path)  # who reads meanwhile sees all of it or nothing

    def exported(self) -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Return what was written, by instance id: the state, and the events."""
        found: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
        for path in self.path.rglob("*.jsonl.gz"):
            head, *events = map(json.loads, gzip.decompress(path.read_bytes()).splitlines())
            found[head["instance_id"]] = head["metadata"], events
        return found


class Site:
    """A scheduler with an SDK worker that runs flows, and exports them."""

    def __init__(self, sdk: Sdk, hub: Hub, folder: Folder, jobs: AsyncExportHistoryClient) -> None:
        self.sdk = sdk
        self.hub = hub
        self.folder = folder
        self.jobs = jobs

    async def finish(self, *ids: str, **options: Any) -> None:
        """Run an instance to its end for each id."""
        for instance_id in ids:
            await self.sdk.client.schedule_new_orchestration(
                "flow", instance_id=instance_id, **options
            )
        for instance_id in ids:
            await self.sdk.finished(instance_id)

    async def export(self, name: str = "job", **options: Any) -> None:
        """Begin a job."""
        fields = {"destination": ExportDestination("exports", "all"), **BATCH, **options}
        await self.jobs.create_job(ExportJobCreationOptions(**fields), job_id=name)

    async def done(self, name: str = "job") -> ExportJobDescription:
        return await self.jobs.wait_for_job(name, timeout=PATIENCE, poll_interval=0.01)


def do_step(_: task.ActivityContext, given: Any) -> Any:
    if given == "bad":
        raise ValueError("broken")
    return given


def flow(context: task.OrchestrationContext, given: Any):
    """Ends as its input says: `bad` fails, `long` waits, a number counts down as new."""
    yield context.call_activity(do_step, input=given)
    if given == "long":
        yield context.wait_for_external_event("never")
    if isinstance(given, int) and given > 0:
        context.continue_as_new(given - 1)
    return given


@pytest.fixture
async def site(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Site]:
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(running(tmp_path / "data", clock))
        sdk = await stack.enter_async_context(connected(address))
        raw = await stack.enter_async_context(SchedulerClient.open(address, "default"))
        folder = Folder(tmp_path / "folder")
        # The activities of a job need a client that blocks.
        blocking = client.TaskHubGrpcClient(host_address=address, logger=sdk.quiet)
        stack.callback(blocking.close)
        ExportHistoryClient(blocking, folder).register_worker(sdk.worker)
        sdk.has(do_step, flow)
        jobs = AsyncExportHistoryClient(sdk.client, folder)
        yield Site(sdk, Hub(raw, clock), folder, jobs)


async def test_an_export_holds_whole_histories_however_they_ended(site: Site) -> None:
    await site.finish("good", input="x")
    await site.finish("failed", input="bad")
    await site.finish("renewed", input=2)
    await site.sdk.client.schedule_new_orchestration("flow", instance_id="ended", input="long")
    await site.sdk.client.wait_for_orchestration_start("ended", timeout=PATIENCE)
    await site.sdk.client.terminate_orchestration("ended", output="enough")
    await site.sdk.client.schedule_new_orchestration("flow", instance_id="open", input="long")
    await site.export()
    job = await site.done()
    assert (job.status, job.exported_instances, job.failed_instances) == (
        ExportJobStatus.COMPLETED,
        4,
        0,
    )
    exported = site.folder.exported()
    assert set(exported) == {"good", "failed", "renewed", "ended"}
    for instance_id, (state, events) in exported.items():
        committed = kinds(await site.hub.history(instance_id))
        assert [event["event_type"] for event in events] == [in_sdk(kind) for kind in committed]
        assert state["runtime_status"] == await site.hub.status(instance_id)


def in_sdk(kind: str | None) -> str:
    """The SDK's name for a kind of event."""
    assert kind is not None
    return f"{kind[0].upper()}{kind[1:]}Event"


async def test_an_export_tells_why_an_instance_failed_and_what_it_began_anew_with(
    site: Site,
) -> None:
    await site.finish("failed", input="bad")
    await site.finish("renewed", input=2)
    await site.export()
    await site.done()
    exported = site.folder.exported()
    state, events = exported["failed"]
    assert state["failure_details"]["message"].endswith("broken")
    [failed] = [event for event in events if event["event_type"] == "TaskFailedEvent"]
    assert "broken" in json.dumps(failed["failure_details"])
    state, events = exported["renewed"]
    assert (state["serialized_input"], state["serialized_output"]) == ("0", "0")
    [started] = [event for event in events if event["event_type"] == "ExecutionStartedEvent"]
    assert started["input"] == "0"


async def test_an_export_in_small_pages_misses_nothing_and_repeats_nothing(site: Site) -> None:
    ids = [f"wf{number:02}" for number in range(13)]
    await site.finish(*ids)
    await site.export(max_instances_per_batch=2, max_parallel_exports=2)
    job = await site.done()
    assert (job.scanned_instances, job.exported_instances) == (13, 13)
    assert sorted(site.folder.exported()) == ids
    assert site.folder.writes == 13


async def test_an_export_takes_only_its_window_and_its_states(site: Site) -> None:
    await site.finish("early", input="x")
    await site.finish("failed", input="bad")
    await site.hub.clock.advance(timedelta(hours=2))
    await site.finish("late", input="x")
    await site.export(runtime_status=[client.OrchestrationStatus.COMPLETED])
    assert (await site.done()).exported_instances == 1
    assert set(site.folder.exported()) == {"early"}


async def test_an_export_writes_plain_json_as_well(site: Site) -> None:
    await site.finish("good", input="x")
    await site.export(format=ExportFormat(ExportFormatKind.JSON))
    await site.done()
    [path] = site.folder.path.rglob("*.json")
    document = json.loads(path.read_text())
    assert document["instance_id"] == "good"
    assert len(document["events"]) == len(await site.hub.history("good"))


async def test_a_job_whose_destination_is_broken_fails_after_its_retries(site: Site) -> None:
    site.folder.broken = True
    await site.finish("good", input="x")
    await site.export()
    # There are minutes between the attempts.
    async with asyncio.timeout(PATIENCE):
        while (job := await site.jobs.get_job("job")) is None or job.status.name == "ACTIVE":
            await site.hub.clock.advance(timedelta(minutes=1))
    assert job.status is ExportJobStatus.FAILED
    assert "no space left" in str(job.last_error)
    assert site.folder.writes == 3


async def test_jobs_are_listed_deleted_and_created_again(site: Site) -> None:
    await site.finish("good", input="x")
    for name in ("one", "two"):
        await site.export(name)
        await site.done(name)
    assert sorted([job.job_id async for job in site.jobs.list_jobs()]) == ["one", "two"]
    await site.jobs.delete_job("one")
    async with asyncio.timeout(PATIENCE):
        while await site.jobs.get_job("one") is not None:
            pass
    assert [job.job_id async for job in site.jobs.list_jobs()] == ["two"]
    await site.export("one")
    assert (await site.done("one")).status is ExportJobStatus.COMPLETED


async def test_a_continuous_job_exports_what_ends_later_until_it_is_deleted(site: Site) -> None:
    await site.finish("first")
    await site.export(mode=ExportMode.CONTINUOUS, completed_time_to=None)
    await appears(site, "first")
    await site.finish("second")
    await appears(site, "second")
    await site.jobs.delete_job("job")
    assert not (await site.hub.get("export-job-job")).exists


async def appears(site: Site, instance_id: str) -> None:
    """Let minutes pass until an instance has been exported."""
    async with asyncio.timeout(PATIENCE):
        while instance_id not in site.folder.exported():
            await site.hub.clock.advance(timedelta(minutes=1))
            await site.jobs.get_job("job")
