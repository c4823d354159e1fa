"""The scan of a container by itself: one blob that cannot be handed over holds up no other."""

import asyncio

from azure.core.exceptions import HttpResponseError

from local_runtime.background import BackgroundTasks, TaskState
from local_runtime.clock import SystemClock
from local_runtime.functions_host.storage.accounts import StorageAccounts
from local_runtime.functions_host.storage.blob_path import BlobPattern
from local_runtime.functions_host.triggers.listener import Listeners
from local_runtime.functions_host.triggers.storage_blob.blob_scan import BlobScan
from local_runtime.functions_host.triggers.storage_blob.blob_task import BlobTask
from local_runtime.functions_host.triggers.storage_blob.receipts import Receipts


def refused() -> HttpResponseError:
    """What an account answers to a request that makes no sense to it."""
    error = HttpResponseError("no")
    error.status_code = 400
    return error


async def test_a_blob_that_cannot_be_handed_over_holds_up_no_other(azurite, caplog):
    loop = asyncio.get_running_loop()
    handed: asyncio.Queue[str] = asyncio.Queue()

    def send(task: BlobTask) -> None:
        if task.name == "1-raises":
            raise ValueError("no")
        if task.name == "2-refused":
            raise refused()
        loop.call_soon_threadsafe(handed.put_nowait, task.name)

    async with StorageAccounts({"C": azurite.connection_string}) as accounts:
        container = accounts.blobs("C").create_container("scanned")
        for name in ("0-first", "1-raises", "2-refused", "3-last"):
            container.upload_blob(name, b"")
        receipts = Receipts(accounts.blobs("C").create_container("receipts"), "host", "function")
        pattern = BlobPattern.parse("scanned/{name}")
        scan = BlobScan("function", pattern, container, receipts, send, accounts, 1)
        tasks = BackgroundTasks(SystemClock())
        async with Listeners([scan], tasks), asyncio.timeout(60):
            assert [await handed.get(), await handed.get()] == ["0-first", "3-last"]
            container.upload_blob("4-new", b"")
            assert await handed.get() == "4-new"
            [report] = tasks.reports()
            assert (report.name, report.state) == (scan.name, TaskState.RUNNING)
            assert report.failures == 0
    told = [r.getMessage() for r in caplog.records if "could not be handed over" in r.getMessage()]
    assert len(told) == 2
