"""A scheduler that a test stops (SIGSTOP) in place of killing it, and lets go on later."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty

from local_runtime.scheduler.client import SchedulerClient
from tests.ports import free_port

from .killing import PATIENCE, Victim

# Its clients take a silent scheduler for lost after some two seconds. Each has connections of its
# own: by default all channels of a process to one address share theirs.
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 1000),
    ("grpc.keepalive_timeout_ms", 1000),
    # Without it the timeout above has no effect.
    ("grpc.http2.ping_timeout_ms", 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_AT_ONCE = 5

type Check = Callable[..., Awaitable[None]]


class Stopped(Victim):
    """A victim that is stopped where others are killed, until its clients have given it up."""

    @classmethod
    @contextlib.asynccontextmanager
    async def create(cls, data: Path) -> AsyncIterator["Stopped"]:
        port = free_port()
        async with grpc.aio.insecure_channel(f"localhost:{port}", options=_OPTIONS) as channel:
            yield cls(data, port, SchedulerClient(channel, "default"))

    @contextlib.asynccontextmanager
    async def killed_at(
        self, fault: str, *calls: Coroutine[Any, Any, Any]
    ) -> AsyncIterator[list[Any]]:
        async with self.running(stopping(fault)) as process:
            asked = [asyncio.create_task(call) for call in calls]
            await self._is_given_up(process)
            process.send_signal(signal.SIGCONT)
            async with asyncio.timeout(PATIENCE):
                results = await asyncio.gather(*asked, return_exceptions=True)
                yield results

    async def dies_of(self, fault: str, method: str, request: object) -> None:
        """Make a call of a scheduler that stops at it, give it up, and let it go on."""
        async with self.running(stopping(fault)) as process:
            asked = asyncio.create_task(self.insist(method, request))
            await self._is_given_up(process)
            asked.cancel()  # a second try waits for the scheduler by now, and is not wanted
            await asyncio.gather(asked, return_exceptions=True)
            process.send_signal(signal.SIGCONT)
            # It is answered after all that came before it is on disk.
            signalled = pb.SignalEntityRequest(instanceId="@after@it", name="last")
            await self.insist("SignalEntity", signalled)

    def has_done(self, fault: str) -> bool:
        """It goes on with what it was at, though its client has gone."""
        return True

    async def _is_given_up(self, process: asyncio.subprocess.Process) -> None:
        """Wait until the scheduler has stopped itself, and its clients take it for lost."""
        await is_stopped(process.pid)
        with contextlib.suppress(grpc.aio.AioRpcError):
            # It ends when the connection does; where there is none yet, it ends at once.
            await self.client.stub.Hello(Empty(), metadata=self.client.metadata)


def stopping(fault: str) -> str:
    """The same fault with a stop in place of the death."""
    before, comma, last = fault.rpartition(",")
    return f"{before}{comma}stop@{last}"


async def is_stopped(pid: int) -> None:
    """Wait until a child process has been stopped.

    Raises:
        AssertionError: it ended before, or was not stopped in time.
    """
    wanted = os.WSTOPPED | os.WEXITED | os.WNOWAIT
    waiting = asyncio.to_thread(os.waitid, os.P_PID, pid, wanted)
    try:
        found = await asyncio.wait_for(waiting, PATIENCE)
    except TimeoutError:
        raise AssertionError(f"process {pid} was not stopped within {PATIENCE:g} s") from None
    assert found is not None
    assert found.si_code in (os.CLD_STOPPED, os.CLD_TRAPPED), f"process {pid} ended: {found}"


async def check_together(folder: Path, check: Check, cases: Iterable[tuple[object, ...]]) -> None:
    """Check each case at a scheduler of its own, some at once: most of the time they wait."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def check_one(number: int, case: tuple[object, ...]) -> None:
        async with room, Stopped.create(folder / f"case{number}") as victim:
            try:
                await check(victim, *case)
            except BaseException as error:
                error.add_note(f"case {case}")
                raise

    checks = [check_one(number, case) for number, case in enumerate(cases)]
    failed = [e for e in await asyncio.gather(*checks, return_exceptions=True) if e is not None]
    if failed:
        raise BaseExceptionGroup(f"{len(failed)} of {len(checks)} cases", failed)
