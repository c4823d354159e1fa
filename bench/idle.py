"""Many instances that wait for an event, a kill among them, and many clients that wait at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from durabletask import client

from bench.hub import Hub, completed
from bench.loads import Figures, Load
from bench.processes import resident_mib

ONE_MORE = Load("fan_out", 2, times=20)
AT_ONCE = 100  # calls under way while the instances are started
CHANNELS = 8  # over which the waiting clients are spread


@dataclass(frozen=True)
class Idle:
    """`instances` idle instances; then `clients` of them are waited for and get their event.

    After the kill only the backend starts anew. The worker lives on and connects again after the
    SDK's own delay, so "one more" after a kill holds that delay. The in-memory backend loses all
    at its end, and holds a thread of its ten for each waiting client, so it leaves those out.
    """

    instances: int
    clients: int

    async def measure(self, hub: Hub) -> Figures:
        found: Figures = {}
        found |= memory(hub, "empty")
        ids = await self._start(hub)
        found["one more"] = (await hub.measure(ONE_MORE))["ms"]
        found |= memory(hub, "full")
        if hub.durable:
            found |= await self._kill(hub, ids[0])
            found |= await self._wait(hub, ids[: self.clients])
        return found

    async def _start(self, hub: Hub) -> list[str]:
        starts = (
            lambda: hub.client.schedule_new_orchestration("waiting") for _ in range(self.instances)
        )
        ids = await gathered(starts, AT_ONCE)
        for instance_id in ids:  # one after the other: a waiting call may hold a thread
            await hub.client.wait_for_orchestration_start(instance_id, timeout=300)
        return ids

    async def _kill(self, hub: Hub, known: str) -> Figures:
        await hub.client.close()
        began = time.perf_counter()
        await hub.start_again()
        hub.client = await first_answer(hub, known)
        answered = time.perf_counter() - began
        await hub.run(Load("fan_out", 2))
        return {"answer": answered, "done": time.perf_counter() - began}

    async def _wait(self, hub: Hub, ids: list[str]) -> Figures:
        clients = [hub.new_client() for _ in range(CHANNELS)]
        try:
            waits = [
                asyncio.create_task(completed(clients[number % CHANNELS], instance_id))
                for number, instance_id in enumerate(ids)
            ]
            await arrived(clients, ids[0])
            one_more = (await hub.measure(ONE_MORE))["ms"]
            began = time.perf_counter()
            events = (
                lambda instance_id=instance_id: hub.client.raise_orchestration_event(
                    instance_id, "go"
                )
                for instance_id in ids
            )
            await gathered(events, AT_ONCE)
            await asyncio.gather(*waits)
            return {"one more, waiting": one_more, "answers": time.perf_counter() - began}
        finally:
            for found in clients:
                await found.close()


def memory(hub: Hub, name: str) -> Figures:
    found = resident_mib(hub.server.pid)
    return {} if found is None else {name: found}


async def gathered[T](calls: Iterable[Callable[[], Awaitable[T]]], at_once: int) -> list[T]:
    """The results of many calls, so many of them under way at a time."""
    free = asyncio.Semaphore(at_once)

    async def one(call: Callable[[], Awaitable[T]]) -> T:
        async with free:
            return await call()

    return await asyncio.gather(*(one(call) for call in calls))


async def arrived(clients: Iterable[client.AsyncTaskHubGrpcClient], known: str) -> None:
    """Wait until the calls that were made before, in tasks of their own, are at the backend.

    Calls of one connection arrive in the order they were made in, so an answer to a later one says
    that the earlier ones are there.
    """
    await asyncio.sleep(0)  # the tasks begin
    for found in clients:
        await found.get_orchestration_state(known)


async def first_answer(hub: Hub, known: str) -> client.AsyncTaskHubGrpcClient:
    """Ask a backend that is starting until it answers; the client that it answered."""
    port = int(hub.address.rpartition(":")[2])
    for _ in range(60_000):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.002)
            continue
        writer.close()
        found = hub.new_client()
        if await found.get_orchestration_state(known) is None:
            raise RuntimeError("An instance is gone after a kill.")
        return found
    raise RuntimeError("The backend did not start again.")
