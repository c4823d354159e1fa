"""Clients of storage accounts. They block, so each call is made on a thread of its own pool."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self

from azure.core.exceptions import AzureError, HttpResponseError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient, LinearRetry
from azure.storage.queue import QueueServiceClient

from local_runtime.functions_host.storage.connections import (
    Connection,
    find_connection,
    missing_setting,
)

_THREADS = 16
# One more try, soon: a listener tries again by itself, and must notice that an account is gone.
_PATIENCE: dict[str, Any] = {
    "retry_policy": LinearRetry(backoff=1, retry_total=1, random_jitter_range=0),
    "connection_timeout": 5,
    "read_timeout": 60,
}


class StorageProblem(Exception):
    """A storage account cannot be used as a binding asks; the message says why."""


class StorageAccounts:
    """The accounts that the app's settings name, each opened once, when it is first used."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._queues: dict[str, QueueServiceClient] = {}
        self._blobs: dict[str, BlobServiceClient] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="storage")
        # It logs every request with its headers.
        logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel("WARNING")

    def queues(self, connection: str) -> QueueServiceClient:
        """Return a client of the account's queues.

        Raises:
            StorageProblem: The connection is not configured, or makes no sense.
        """
        if connection not in self._queues:
            found = self._find(connection)
            self._queues[connection] = _open(
                QueueServiceClient, found, found.queue_url, "queueServiceUri"
            )
        return self._queues[connection]

    def blobs(self, connection: str) -> BlobServiceClient:
        """Return a client of the account's containers.

        Raises:
            StorageProblem: The connection is not configured, or makes no sense.
        """
        if connection not in self._blobs:
            found = self._find(connection)
            self._blobs[connection] = _open(
                BlobServiceClient, found, found.blob_url, "blobServiceUri"
            )
        return self._blobs[connection]

    async def call[**P, R](self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Make a call that blocks, on a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))

    async def __aenter__(self) -> Self:
        """Nothing is opened before it is used."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of the threads; what still runs on them is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _find(self, connection: str) -> Connection:
        found = find_connection(connection, self._environ)
        if found is None:
            raise StorageProblem(missing_setting(connection))
        return found


def _open[C: (QueueServiceClient, BlobServiceClient)](
    kind: type[C], connection: Connection, url: str, setting: str
) -> C:
    if not connection.connection_string:
        if not url:
            raise StorageProblem(missing_setting(f"{connection.name}__{setting}"))
        return kind(url, _credential(connection), **_PATIENCE)
    try:
        return kind.from_connection_string(connection.connection_string, **_PATIENCE)
    except ValueError:
        # Without the library's words: they may repeat the connection string.
        raise StorageProblem(
            f"the connection setting {connection.name!r} is no connection string of a storage "
            "account"
        ) from None


def _credential(connection: Connection) -> DefaultAzureCredential:
    if connection.client_id:
        return DefaultAzureCredential(managed_identity_client_id=connection.client_id)
    return DefaultAzureCredential()


def reason(error: AzureError) -> str:
    """Return what went wrong in one line, without addresses that may carry a signature."""
    if isinstance(error, HttpResponseError):
        code = getattr(error, "error_code", None)
        return f"{error.status_code} {getattr(code, 'value', code) or error.reason or ''}".strip()
    cause = getattr(error, "inner_exception", None) or error
    return f"{type(error).__name__} ({type(cause).__name__})"
