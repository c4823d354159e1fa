"""Starts of instances, one after the other on each of some connections, by HTTP or by gRPC."""

import asyncio
import time
from dataclasses import dataclass

import grpc
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub
from google.protobuf.wrappers_pb2 import StringValue

from bench.loads import Figures

PATH = "/runtime/webhooks/durabletask/orchestrators/nothing"


@dataclass(frozen=True)
class Starts:
    """`count` starts over so many connections."""

    count: int
    connections: int

    async def by_http(self, port: int) -> Figures:
        """Start through the webhook of the host on this port."""
        request = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1".encode()

        async def starting() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(self.count // self.connections):
                writer.write(request)
                await answered(reader)
            writer.close()

        return await self._timed(starting)

    async def by_grpc(self, address: str) -> Figures:
        """Start through the scheduler at this address."""

        async def starting() -> None:
            own = [("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.insecure_channel(address, options=own) as channel:
                stub = TaskHubSidecarServiceStub(channel)
                request = pb.CreateInstanceRequest(name="nothing", input=StringValue(value="1"))
                for _ in range(self.count // self.connections):
                    await stub.StartInstance(request)

        return await self._timed(starting)

    async def _timed(self, starting) -> Figures:
        began = time.perf_counter()
        await asyncio.gather(*(starting() for _ in range(self.connections)))
        seconds = time.perf_counter() - began
        return {"rate": self.count / seconds, "ms": seconds * 1000 * self.connections / self.count}


async def answered(reader: asyncio.StreamReader) -> None:
    """Read one answer; a RuntimeError if it is not a 202."""
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 202 "):
        raise RuntimeError(f"A measured start was not accepted: {head!r}")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    await reader.readexactly(int(lengths[0].partition(b":")[2]))
