"""What is deleted gives its space back to the file system, while the scheduler runs."""

import asyncio
import signal
import sqlite3
import sys
from pathlib import Path

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.scheduler.storage.database import open_writer

from .conftest import Actions, Hub, Scheduler

# Killed in the midst of it: SQLite calls the handler between its steps.
_REWRITE = """
import itertools, os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
calls = itertools.count()
connection.set_progress_handler(
    lambda: os.kill(os.getpid(), signal.SIGKILL) if next(calls) == 2 else 0, 10
)
connection.execute("VACUUM")
"""

MEBIBYTE = 1024 * 1024
SMALL = 9 * MEBIBYTE  # the log's usual length, and what is kept free for what comes next


async def fill(hub: Hub, count: int) -> None:
    worker = hub.worker()
    await worker.connect()
    for number in range(count):
        given = StringValue(value=f'"{"x" * MEBIBYTE}"')
        await hub.start(f"wf{number}", input=given)
        await worker.answer_turn(await worker.next(), Actions.complete())
        await hub.wait(f"wf{number}")
    await worker.lose()


async def purge_all(hub: Hub) -> int:
    request = pb.PurgeInstancesRequest(purgeInstanceFilter=pb.PurgeInstanceFilter())
    return (await hub.call("PurgeInstances", request)).deletedInstanceCount


def file_of(scheduler: Scheduler) -> Path:
    return scheduler.folder / "default.taskhub.db"


async def test_a_purge_makes_the_file_shorter(scheduler: Scheduler, hub: Hub) -> None:
    await fill(hub, 20)
    assert file_of(scheduler).stat().st_size > 30 * MEBIBYTE
    assert await purge_all(hub) == 20
    while file_of(scheduler).stat().st_size > SMALL:
        assert not (await hub.get("wf0")).exists  # it is served meanwhile


async def test_a_file_that_could_only_grow_is_made_one_that_shrinks(
    scheduler: Scheduler, hub: Hub
) -> None:
    await fill(hub, 20)
    await scheduler.stop()
    before = sqlite3.connect(file_of(scheduler), isolation_level=None)
    before.execute("PRAGMA auto_vacuum = NONE")
    before.execute("VACUUM")
    assert before.execute("PRAGMA auto_vacuum").fetchone() == (0,)
    before.close()
    await scheduler.start()
    hub = await scheduler.hub()
    assert (await hub.get("wf19")).exists
    await purge_all(hub)
    while file_of(scheduler).stat().st_size > SMALL:
        assert not (await hub.get("wf0")).exists


async def test_a_kill_while_a_file_is_rewritten_leaves_it_whole(
    scheduler: Scheduler, hub: Hub
) -> None:
    await fill(hub, 5)
    await scheduler.stop()
    path = file_of(scheduler)
    before = sqlite3.connect(path, isolation_level=None)
    before.execute("PRAGMA auto_vacuum = NONE")
    before.execute("VACUUM")
    before.close()
    rewriting = await asyncio.create_subprocess_exec(sys.executable, "-c", _REWRITE, str(path))
    assert await rewriting.wait() == -signal.SIGKILL
    connection = open_writer(path, "full")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("SELECT count(*) FROM instances").fetchone() == (5,)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()
