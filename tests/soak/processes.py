"""The processes of the soak, which are killed and started again: the scheduler and its workers."""

import asyncio
import contextlib
import os
import random
import signal
import statistics
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.protobuf.empty_pb2 import Empty

from local_runtime.scheduler.client import SchedulerClient
from tests.soak.workflows import MARKS

ROOT = Path(__file__).parents[2]
POINTS = ["work_item.sent", "completion.received", "turn.half", "commit.before", "commit.after"]
_MOST_REACHES = 1500  # a point is reached so often within some seconds of load
_START_SECONDS = 60.0


@dataclass
class Toll:
    """What was killed, how often, and how long the scheduler took to be back."""

    kills: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    ready_seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def of_scheduler(self) -> int:
        return self.kills.total() - self.kills["worker"]

    @property
    def each_was_killed(self) -> bool:
        return min(self.of_scheduler, self.kills["worker"]) > 0

    def ready_times(self) -> tuple[float, float]:
        """The longest and the median time from a start after a kill to the first answer."""
        times = self.ready_seconds or [0.0]
        return max(times), statistics.median(times)


class Part:
    """One process that is started again whenever it was killed."""

    def __init__(self, name: str, command: list[str], folder: Path, toll: Toll) -> None:
        self.name = name
        self.toll = toll
        self.log = folder / f"{name}.log"
        self._command = [sys.executable, "-m", *command]
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, fault: str = "") -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
                cwd=ROOT,
                env={
                    **os.environ,
                    MARKS: str(self._folder),
                    "LOCAL_RUNTIME_LOG_LEVEL": "WARNING",
                    "LOCAL_RUNTIME_FAULT": fault,
                },
            )

    async def dies_within(self, seconds: float) -> bool:
        """Whether the process ends by itself in so many seconds."""
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), seconds)
        return self._process.returncode is not None

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode if self._process is not None else None

    async def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send the process a signal, if it is there, and wait for its end."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        return await self._process.wait()


class Scheduler(Part):
    """The scheduler, always on the same port and data."""

    def __init__(self, port: int, folder: Path, toll: Toll) -> None:
        self.address = f"127.0.0.1:{port}"
        self.file = folder / "default.taskhub.db"
        command = ["local_runtime", "scheduler", "--no-dashboard", "--durability", "full"]
        command += ["--grpc-port", str(port), "--data", str(folder)]
        super().__init__("scheduler", command, folder, toll)

    async def start_and_answer(self, fault: str = "") -> float | None:
        """Start it; how long until it answers, None if it dies before."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.start(fault)
        answered = asyncio.create_task(self._answers())
        died = asyncio.create_task(self.dies_within(_START_SECONDS))
        await asyncio.wait({answered, died}, return_when=asyncio.FIRST_COMPLETED)
        took = loop.time() - began if answered.done() else None
        for task in (answered, died):
            task.cancel()
        await asyncio.gather(answered, died, return_exceptions=True)
        if took is None and self.exit_code is None:
            raise RuntimeError(f"the scheduler did not answer within {_START_SECONDS} s")
        return took

    async def _answers(self) -> None:
        while True:
            # The port by itself first: a channel that found it closed would not look again for
            # a while, and that is not the scheduler's time.
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(*self.address.split(":"))
                writer.close()
                break
            await asyncio.sleep(0.01)
        with contextlib.suppress(grpc.RpcError):
            async with SchedulerClient.open(self.address, "default") as client:
                await client.stub.Hello(Empty(), metadata=client.metadata, wait_for_ready=True)

    async def die_over_and_over(self, chance: random.Random, over: asyncio.Event, every: float):
        """Start it, kill it at a random moment or let it die at a fault point, start it again."""
        first = True
        while not over.is_set():
            point = chance.choice(POINTS) if chance.random() < 0.5 else None
            nth = int(_MOST_REACHES ** chance.random())
            took = await self.start_and_answer(f"{point}:{nth}" if point and not first else "")
            if not first:
                self.toll.restarts["scheduler"] += 1
                self.toll.ready_seconds += [took] if took is not None else []
            by_itself = await self._lives_for(chance.uniform(0.2, 2) * every, over)
            self._account(point if not first else None, by_itself=by_itself, over=over.is_set())
            first = False
            await self.end()

    async def _lives_for(self, seconds: float, over: asyncio.Event) -> bool:
        ending = asyncio.create_task(over.wait())
        dying = asyncio.create_task(self.dies_within(seconds))
        await asyncio.wait({ending, dying}, return_when=asyncio.FIRST_COMPLETED)
        for task in (ending, dying):
            task.cancel()
        await asyncio.gather(ending, dying, return_exceptions=True)
        return self.exit_code is not None

    def _account(self, point: str | None, *, by_itself: bool, over: bool) -> None:
        if by_itself and (point is None or self.exit_code != -signal.SIGKILL):
            self.toll.faults.append(f"the scheduler ended by itself, with {self.exit_code}")
        elif by_itself:
            self.toll.kills[f"scheduler at {point}"] += 1
        elif not over:
            self.toll.kills["scheduler at any moment"] += 1


class Worker(Part):
    """One of the workers."""

    def __init__(self, number: int, address: str, folder: Path, toll: Toll) -> None:
        super().__init__(f"worker-{number}", ["tests.soak.worker", address], folder, toll)

    async def die_over_and_over(self, chance: random.Random, over: asyncio.Event, every: float):
        """Let it work, kill it at a random moment, start it again; at the end it is left alive."""
        await self.start()
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), chance.uniform(0.2, 2) * every)
            if self.exit_code is not None:
                self.toll.faults.append(f"{self.name} ended by itself, with {self.exit_code}")
            if not over.is_set():
                await self.end()
                self.toll.kills["worker"] += 1
                await self.start()
                self.toll.restarts["worker"] += 1
