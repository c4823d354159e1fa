"""A backend and its worker, each in a process of its own, with a client."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
from durabletask import client, grpc_options, history

from bench.loads import Figures, Load
from bench.processes import cpu_seconds, end, free_port, spawn

PATIENCE = 900  # seconds a client waits for a workflow: the long chains take minutes


class Hub:
    """One backend under measurement."""

    def __init__(
        self, command: list[str], worker: list[str], port: int, *, durable: bool = True
    ) -> None:
        self.durable = durable
        self.address = f"localhost:{port}"
        self.client: client.AsyncTaskHubGrpcClient
        self.server: asyncio.subprocess.Process
        self._worker: asyncio.subprocess.Process
        self._command = command
        self._worker_command = worker

    @property
    def worker_pid(self) -> int:
        """The worker's process."""
        return self._worker.pid

    async def start(self) -> None:
        """Start both processes and run a few workflows to warm them up."""
        self.server = await spawn(*self._command)
        async with grpc.aio.insecure_channel(self.address) as channel:
            await asyncio.wait_for(channel.channel_ready(), 30)
        self._worker = await spawn(*self._worker_command)
        self.client = self.new_client()
        await self.seconds(Load("fan_out", 2, times=3))

    async def start_again(self) -> None:
        """Kill the backend and start it anew on the same port and data; the worker lives on."""
        await end(self.server)
        self.server = await spawn(*self._command)

    async def stop(self) -> None:
        """End both processes."""
        with contextlib.suppress(AttributeError):  # what failed to start is not there
            await self.client.close()
            await end(self._worker)
        await end(self.server)

    def new_client(self) -> client.AsyncTaskHubGrpcClient:
        """A client with a connection of its own: by default, channels of a process share one."""
        own = grpc_options.GrpcChannelOptions(raw_options=[("grpc.use_local_subchannel_pool", 1)])
        return client.AsyncTaskHubGrpcClient(host_address=self.address, channel_options=own)

    async def measure(self, load: Load) -> Figures:
        """Run a load; with the processor time each process took for a step."""
        pids = {"server cpu": self.server.pid, "worker cpu": self._worker.pid}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        found = load.figures(await self.seconds(load))
        steps = load.steps * load.count * load.times
        for name, pid in pids.items():
            began, ended = before[name], cpu_seconds(pid)
            if began is not None and ended is not None:
                found[name] = (ended - began) * 1000 / steps
        return found

    async def seconds(self, load: Load) -> list[float]:
        """How long each time took, from the first call to the last answer."""
        found: list[float] = []
        for _ in range(load.times):
            began = time.perf_counter()
            await self.run(load)
            found.append(time.perf_counter() - began)
        return found

    async def run(self, load: Load) -> list[str]:
        """Run the workflows of a load once; the ids of their instances."""
        starts = (
            self.client.schedule_new_orchestration(load.kind, input=load.given)
            for _ in range(load.count)
        )
        ids = await asyncio.gather(*starts)
        for instance_id in ids:
            await completed(self.client, instance_id)
        return ids

    async def turns(self, load: Load) -> int:
        """How many turns one workflow of this load took."""
        (instance_id,) = await self.run(load)
        events = await self.client.get_orchestration_history(instance_id)
        return sum(isinstance(event, history.OrchestratorStartedEvent) for event in events)


async def completed(hub: client.AsyncTaskHubGrpcClient, instance_id: str) -> None:
    """Wait for a workflow's end; a RuntimeError if it did not complete."""
    state = await hub.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
    if state is None or state.runtime_status is not client.OrchestrationStatus.COMPLETED:
        raise RuntimeError(f"A measured workflow did not complete: {state}")


@contextlib.asynccontextmanager
async def open_hub(
    name: str, folder: Path, worker: Callable[[str], list[str]] | None = None
) -> AsyncIterator[Hub]:
    """Start the backend `durable` or `memory` with its worker, and end them.

    `worker` makes the worker's command line from the backend's address: the plain one's if None.
    """
    port = free_port()
    durable = ["local_runtime", "scheduler", "--no-dashboard", "--grpc-port", str(port), "--data"]
    commands = {
        "memory": ["bench.memory_backend", str(port)],
        "durable": [*durable, str(folder / str(port))],
    }
    address = f"localhost:{port}"
    working = worker(address) if worker else ["bench.plain_worker", address]
    hub = Hub(commands[name], working, port, durable=name == "durable")
    try:
        await hub.start()
        yield hub
    finally:
        await hub.stop()
