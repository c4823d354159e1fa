"""The lines by which workers and the host reach the scheduler, which are cut, stalled and slow."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import grpc

from tests.proxy import TcpProxy
from tests.rpc_proxy import RpcProxy, late, lost, refused, twice
from tests.soak.executions import now
from tests.soak.processes import Toll

_COMPLETIONS = ("CompleteActivityTask", "CompleteOrchestratorTask", "CompleteEntityTask")
_CODES = ("RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN")
_SHARE = 0.01  # of the completions, for each thing that is done with them
_AFTER = 3.0  # seconds until all of it has come to an end


class Line:
    """One line: a TCP proxy, and for most behind it one of gRPC calls."""

    def __init__(self, who: str, tcp: TcpProxy, rpc: RpcProxy | None, toll: Toll) -> None:
        self.who = who
        self.address = tcp.address
        self._tcp = tcp
        self._rpc = rpc
        self._toll = toll

    @classmethod
    @contextlib.asynccontextmanager
    async def to(
        cls, scheduler: str, who: str, toll: Toll, seed: int, *, calls: str = ""
    ) -> AsyncIterator["Line"]:
        """Lay a line. `calls` says what may happen to calls on it.

        `delivered`: they come late and twice. `repeated`: their answers are lost or they are
        refused as well, which the SDK's worker, that never repeats one, would not survive.
        """
        seed_here = f"{seed}/{who}"
        async with contextlib.AsyncExitStack() as stack:
            rpc = None
            if calls:
                rpc = RpcProxy(scheduler, seed_here)
                await stack.enter_async_context(rpc.serving())
            before = TcpProxy.before(rpc.address if rpc else scheduler, seed_here)
            line = cls(who, await stack.enter_async_context(before), rpc, toll)
            if rpc is not None:
                line._meddle(rpc, refuses=calls == "repeated")
            yield line

    def _meddle(self, rpc: RpcProxy, *, refuses: bool) -> None:
        for method in _COMPLETIONS:
            rpc.meddle_at_random(method, _SHARE, twice, "doubled")
            rpc.meddle_at_random(method, _SHARE, late(_AFTER), "late")
            if refuses:
                rpc.meddle_at_random(method, _SHARE, lost, "answer lost")
                for code in _CODES:
                    refusal = refused(grpc.StatusCode[code])
                    rpc.meddle_at_random(method, _SHARE / 2, refusal, f"refused, {code}")
        rpc.on_meddling = self._note_meddling

    def _note_meddling(self, method: str, name: str) -> None:
        self._toll.done[f"{method} {name}"] += 1
        what = "completion late" if name == "late" else "completion refused or lost"
        if name != "doubled":
            self._toll.note(what, self.who, now(), 2 * _AFTER)

    async def suffer(self, chance: random.Random, over: asyncio.Event, every: float) -> None:
        """Do something to the line again and again; in the end it is sound."""
        deeds = {
            self._cut: 4,
            self._refuse: 2,
            self._stall: 3,
            self._slow_down: 4,
            self._cut_after_some: 2,
        }
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), chance.uniform(0.3, 2) * every)
            if over.is_set():
                break
            deed = chance.choices(list(deeds), list(deeds.values()))[0]
            began = now()
            what = await deed(chance)
            self._toll.note(f"connection {what}", self.who, began, _AFTER)
            self._toll.done[f"connection {what}"] += 1
        if self._rpc is not None:
            self._rpc.leave_alone()

    async def _cut(self, chance: random.Random) -> str:
        if self._rpc is not None and chance.random() < 0.5:
            self._rpc.cut_streams()
        else:
            self._tcp.cut()
        return "cut"

    async def _refuse(self, chance: random.Random) -> str:
        if chance.random() < 0.5:
            self._tcp.refuse()
            self._tcp.cut()
        else:
            await self._tcp.hang_up()
        await asyncio.sleep(chance.uniform(0.5, 3))
        await self._tcp.listen()
        return "refused"

    async def _stall(self, chance: random.Random) -> str:
        self._tcp.stall(*chance.choice((("up",), ("down",), ())))
        await asyncio.sleep(13.0 if chance.random() < 0.2 else chance.uniform(0.3, 4))
        self._tcp.flow()
        return "stalled"

    async def _slow_down(self, chance: random.Random) -> str:
        self._tcp.latency, self._tcp.jitter = chance.uniform(0, 0.1), chance.uniform(0, 0.2)
        await asyncio.sleep(chance.uniform(1, 5))
        self._tcp.latency = self._tcp.jitter = 0.0
        return "slow"

    async def _cut_after_some(self, chance: random.Random) -> str:
        self._tcp.cut_after = chance.randint(500, 50_000)
        self._tcp.cut()
        await asyncio.sleep(chance.uniform(0.5, 2))
        self._tcp.cut_after = None
        return "cut after some bytes"
