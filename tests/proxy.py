"""Passes TCP connections on, and on demand delays them, holds them up, cuts or refuses them."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Literal

from tests.ports import free_port

type Way = Literal["up", "down"]
"""From the client to the server, or back."""

_CHUNK = 64 * 1024
_MOST_CHUNKS = 64  # under way in one direction; more wait in the sender's own buffers


class TcpProxy:
    """Listens on a port of its own before a server; what it does to connections may change.

    Attributes:
        latency: how long each piece of data takes, in seconds.
        jitter: how much longer it may take at the most.
        cut_after: how many bytes a connection carries until it is cut; None for any number.
    """

    def __init__(self, target: str, seed: object = 0) -> None:
        self.target = target
        self.address = f"127.0.0.1:{free_port()}"
        self.latency = 0.0
        self.jitter = 0.0
        self.cut_after: int | None = None
        self.accepted = 0
        self._chance = random.Random(f"{seed}/tcp")
        self._is_refusing = False
        self._flowing: dict[Way, asyncio.Event] = {"up": asyncio.Event(), "down": asyncio.Event()}
        self._open: set[asyncio.StreamWriter] = set()
        self._links: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def before(cls, target: str, seed: object = 0) -> AsyncIterator["TcpProxy"]:
        """Listen before a server at `host:port` until the end."""
        found = cls(target, seed)
        found.flow()
        await found.listen()
        try:
            yield found
        finally:
            await found.hang_up()
            links = list(found._links)
            for link in links:
                link.cancel()
            await asyncio.gather(*links, return_exceptions=True)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._links)

    async def listen(self) -> None:
        """Take connections (again), after `hang_up` or `refuse`."""
        self._is_refusing = False
        if self._server is None:
            host, _, port = self.address.partition(":")
            self._server = await asyncio.start_server(self._accept, host, int(port))

    def refuse(self) -> None:
        """Close each new connection as soon as it is there."""
        self._is_refusing = True

    async def hang_up(self) -> None:
        """Cut all connections and listen no more: who connects is refused by the system."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def cut(self) -> int:
        """Cut all connections at once, both sides; how many there were."""
        found = self.connections
        for writer in list(self._open):
            writer.transport.abort()
        return found

    def stall(self, *ways: Way) -> None:
        """Hold back all bytes in these directions, and the ends of connections: half open."""
        for way in ways or self._flowing:
            self._flowing[way].clear()

    def flow(self) -> None:
        """Let go what was held back."""
        for gate in self._flowing.values():
            gate.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._is_refusing:
            writer.transport.abort()
            return
        link = asyncio.create_task(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = [writer]
        self._open.add(writer)
        try:
            host, _, port = self.target.rpartition(":")
            # On a machine without IPv6 `localhost` would be tried in vain first.
            there = await asyncio.open_connection(host.replace("localhost", "127.0.0.1"), int(port))
            mine.append(there[1])
            self._open.add(there[1])
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, there[1], "up"))
                pumps.create_task(self._pump(there[0], writer, "down"))
        except* OSError:
            pass  # nobody listens there, or a side is gone: the other one is told by the end
        finally:
            for each in mine:
                self._open.discard(each)
                each.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way
    ) -> None:
        """Carry one direction of a connection; a piece never overtakes the one before it."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_MOST_CHUNKS)
        sending = asyncio.create_task(self._send(under_way, writer, way))
        loop = asyncio.get_running_loop()
        carried = 0
        try:
            while data := await reader.read(_CHUNK):
                carried += len(data)
                if self.cut_after is not None and carried > self.cut_after:
                    raise ConnectionResetError(f"cut after {self.cut_after} bytes")
                due = loop.time() + self.latency + self._chance.uniform(0, self.jitter)
                await under_way.put((due, data))
            await under_way.put((0.0, b""))
            await sending
        finally:
            sending.cancel()
        raise ConnectionResetError("one side has ended")

    async def _send(
        self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, way: Way
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            if (left := due - loop.time()) > 0:
                await asyncio.sleep(left)
            await self._flowing[way].wait()
            if not data:
                return
            writer.write(data)
            await writer.drain()
