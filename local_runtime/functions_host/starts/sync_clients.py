"""Finds the synchronous durable clients that the SDK made for an address.

The SDK keeps one for each configuration until the process ends. The address of a start guard comes
in one invocation only, so nobody would ask for such a client again.
"""

from weakref import WeakSet

from azure.durable_functions import client as sdk


def forget_sync_clients(address: str) -> WeakSet[sdk.SyncDurableFunctionsClient]:
    """Let the SDK forget the clients of an address, and return those that the app still holds.

    They are not closed: to call one that is closed would crash the process.
    """
    # There is no public way.
    with sdk._sync_client_cache_lock:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        kept = sdk._sync_client_cache  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        ours = [name for name, client in kept.items() if client.rpcBaseUrl == address]
        return WeakSet([kept.pop(name) for name in ours])
