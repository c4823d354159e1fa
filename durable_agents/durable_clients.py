"""Durable clients for activities: one for each event loop, kept as long as the loop.

The SDK opens a new connection for each activity that asks for a client. Activities of this library
bind the client's settings alone, a text, and share a connection.
"""

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

import azure.durable_functions as df
from durabletask.client import AsyncTaskHubGrpcClient

from durable_agents.errors import AgentCallFailed

type _Clients = dict[str, AsyncTaskHubGrpcClient]

_open: WeakKeyDictionary[asyncio.AbstractEventLoop, _Clients] = WeakKeyDictionary()
_factories: dict[str, Callable[[], AsyncTaskHubGrpcClient]] = {}


def durable_client(settings: str) -> AsyncTaskHubGrpcClient:
    """Return the client of the running loop for what a `durableClient` binding says.

    Args:
        settings: The text of the binding, or the key of a factory that was registered.

    Raises:
        AgentCallFailed: It is empty: there is no durable client.
    """
    if not settings:
        raise AgentCallFailed(
            "a session needs a durable client, and there is none: AgentWorker(..., client=...)"
        )
    clients = _open.setdefault(asyncio.get_running_loop(), {})
    client = clients.get(settings)
    if client is None:
        factory = _factories.get(settings)
        client = factory() if factory is not None else df.DurableFunctionsClient(settings)
        clients[settings] = client
    return client


async def close_clients() -> None:
    """Close the clients of the running loop, before the loop itself ends."""
    for client in _open.pop(asyncio.get_running_loop(), {}).values():
        await client.close()


def register_factory(key: str, factory: Callable[[], AsyncTaskHubGrpcClient]) -> None:
    """Let `key` stand for clients that `factory` opens: outside Functions there is no binding."""
    _factories[key] = factory
