"""The processes of the soak, which are killed or stopped: the scheduler and its workers."""

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
from tests.soak.executions import Trouble, now
from tests.soak.workflows import MARKS

ROOT = Path(__file__).parents[2]
POINTS = ["work_item.sent", "completion.received", "turn.half", "commit.before", "commit.after"]
_MOST_REACHES = 1500  # a point is reached so often within some seconds of load
_START_SECONDS = 60.0
_LOOK_SECONDS = 0.1  # how often to look whether a process has stopped itself
_FOUND_AGAIN_SECONDS = 4.0  # until all have found a scheduler that is back
_LONG_STOP = 13.0  # longer than a worker that does not answer keeps its work


@dataclass
class Toll:
    """What was killed and stopped, how often, and how long the scheduler took to be back."""

    kills: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)  # to connections and calls
    troubles: list[Trouble] = field(default_factory=list)
    restarts: Counter[str] = field(default_factory=Counter)
    ready_seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def of_scheduler(self) -> int:
        return sum(n for what, n in self.kills.items() if what.startswith("scheduler"))

    @property
    def each_was_killed(self) -> bool:
        return min(self.of_scheduler, self.kills["worker"], self.kills["host"]) > 0

    def note(self, what: str, who: str, began: float, after: float = 0.0) -> None:
        """Note a trouble that has just ended, or ends so many seconds from now."""
        self.troubles.append(Trouble(what, began, now() + after, who))

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
        self._settings: dict[str, str] = {}
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
                    **self._settings,
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
        self.send(number)
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal, if it is there."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    @property
    def has_stopped(self) -> bool:
        """Whether the process is stopped."""
        assert self._process is not None
        wanted = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PID, self._process.pid, wanted) is not None
        return False

    async def stop_for(self, seconds: float, who: str) -> None:
        """Stop the process for a while, or leave it where it has stopped itself."""
        began = now()
        self.send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.send(signal.SIGCONT)
        what = f"{who} stopped"
        self.toll.note(what, "" if who == "scheduler" else self.name, began, _FOUND_AGAIN_SECONDS)
        self.toll.stops[what] += 1

    async def meet_over_and_over(
        self, chance: random.Random, over: asyncio.Event, every: float, who: str
    ) -> None:
        """Let it work, kill or stop it at a random moment; at the end it is left alive."""
        await self.start()
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), chance.uniform(0.2, 2) * every)
            if self.exit_code is not None:
                self.toll.faults.append(f"{self.name} ended by itself, with {self.exit_code}")
            if over.is_set():
                return
            if chance.random() < 0.4:
                is_long = chance.random() < 0.25
                await self.stop_for(_LONG_STOP if is_long else chance.uniform(0.3, 4), who)
                continue
            began = now()
            await self.end()
            self.toll.kills[who] += 1
            await self.start()
            self.toll.note(f"{who} killed", self.name, began)
            self.toll.restarts[who] += 1


class Scheduler(Part):
    """The scheduler, always on the same port and data."""

    def __init__(self, port: int, folder: Path, toll: Toll) -> None:
        self.address = f"127.0.0.1:{port}"
        self.file = folder / "default.taskhub.db"
        command = ["local_runtime", "scheduler", "--no-dashboard", "--durability", "full"]
        command += ["--grpc-port", str(port), "--data", str(folder)]
        super().__init__("scheduler", command, folder, toll)

    async def start_and_answer(self, fault: str = "") -> float | None:
        """Start it; how long until it answers, None if it dies or stops itself before."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.start(fault)
        answered = asyncio.create_task(self._answers())
        died = asyncio.create_task(self.dies_within(_START_SECONDS))
        while not (answered.done() or died.done() or self.has_stopped):
            await asyncio.wait(
                {answered, died}, return_when=asyncio.FIRST_COMPLETED, timeout=_LOOK_SECONDS
            )
        took = loop.time() - began if answered.done() else None
        for task in (answered, died):
            task.cancel()
        await asyncio.gather(answered, died, return_exceptions=True)
        if took is None and self.exit_code is None and not self.has_stopped:
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

    async def die_over_and_over(
        self, chance: random.Random, over: asyncio.Event, every: float
    ) -> None:
        """Start it, kill or stop it at any moment or at a fault point; in the end it is dead."""
        first, died = True, now()
        while not over.is_set():
            point = chance.choice(POINTS) if not first and chance.random() < 0.5 else None
            stops = chance.random() < 0.4
            nth = int(_MOST_REACHES ** chance.random())
            fault = f"{'stop@' * stops}{point}:{nth}" if point else ""
            took = await self.start_and_answer(fault)
            self.toll.note("scheduler killed", "", died, _FOUND_AGAIN_SECONDS)
            if not first:
                self.toll.restarts["scheduler"] += 1
                self.toll.ready_seconds += [took] if took is not None else []
            by_itself = await self._lives_for(chance.uniform(0.2, 2) * every, over, chance)
            if not by_itself and stops and not point and not over.is_set():
                await self.stop_for(chance.uniform(0.3, 6), "scheduler")
                by_itself = await self._lives_for(chance.uniform(0.2, 1) * every, over, chance)
            self._account(point, by_itself=by_itself, over=over.is_set())
            first, died = False, now()
            await self.end()

    async def _lives_for(self, seconds: float, over: asyncio.Event, chance: random.Random) -> bool:
        """Let it live, and go on where it stops itself; whether it died by itself."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not over.is_set() and loop.time() < until and self.exit_code is None:
            if self.has_stopped:
                await self.stop_for(chance.uniform(0.3, 6), "scheduler")
            await self.dies_within(_LOOK_SECONDS)
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
        name = f"worker-{number}"
        super().__init__(name, ["tests.soak.worker", address, name], folder, toll)

    async def die_over_and_over(
        self, chance: random.Random, over: asyncio.Event, every: float
    ) -> None:
        await self.meet_over_and_over(chance, over, every, "worker")
