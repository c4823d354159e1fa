"""DBOS on SQLite: a workflow is an async function, and each step an async function of its own.

Steps that run at the same time are gathered, which is what DBOS gives for it within one workflow:
no queue and no child workflow, which would each write more. Workflows are called in the process
that runs them, so that there are no calls between processes. Each step is recorded before it counts
(`synchronous` is FULL, SQLite's default). DBOS needs a newer SQLite than Python may have been built
with, so `pysqlite3` takes its place.

Run: python -m bench.peers.dbos_peer DATABASE [--at-best]

As shipped it keeps SQLite's rollback journal, and up to twenty connections that wait for each
other's locks by sleeping. At its best it has a write-ahead log, one thread for its calls of the
database, and two connections, one of them for what it does in the background. More threads were
slower, more connections no faster, nor were workflows and steps that are plain functions, each
workflow in a thread of its own.
"""

import asyncio
import logging
import sys
from pathlib import Path

import pysqlite3

sys.modules["sqlite3"] = pysqlite3  # before the import of what uses it
sys.modules["sqlite3.dbapi2"] = pysqlite3.dbapi2

from dbos import DBOS, DBOSConfig  # noqa: E402

from bench.loads import Load  # noqa: E402
from bench.peers.serve import serve  # noqa: E402


@DBOS.step()
async def step(milliseconds: int) -> int:
    """Take some time, or none."""
    if milliseconds:
        await asyncio.sleep(milliseconds / 1000)
    return milliseconds


@DBOS.workflow()
async def fan_out(width: int, milliseconds: int) -> int:
    """One step, then `width` steps at the same time."""
    await step(milliseconds)
    return len(await asyncio.gather(*[step(milliseconds) for _ in range(width)]))


@DBOS.workflow()
async def chain(length: int) -> int:
    """Steps one after the other."""
    for _ in range(length):
        await step(0)
    return length


async def workflow(load: Load) -> int:
    if load.kind == "chain":
        return await chain(load.size)
    return await fan_out(load.size, load.milliseconds)


async def run(load: Load) -> None:
    found = await asyncio.gather(*[workflow(load) for _ in range(load.count)])
    if found != [load.size] * load.count:
        raise RuntimeError("A measured workflow did not complete.")


def main(database: Path, *, at_best: bool) -> None:
    logging.disable(logging.CRITICAL)
    config: DBOSConfig = {"name": "bench", "system_database_url": f"sqlite:///{database}"}
    if at_best:
        config["sys_db_pool_size"] = 2
        config["max_executor_threads"] = 1
        connection = pysqlite3.connect(database)
        connection.execute("PRAGMA journal_mode = WAL")  # the file keeps it
        connection.close()
    DBOS(config=config)
    DBOS.launch()
    asyncio.run(serve(run))
    DBOS.destroy()


if __name__ == "__main__":
    main(Path(sys.argv[1]), at_best="--at-best" in sys.argv[2:])
