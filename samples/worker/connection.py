"""How to reach the scheduler that the settings `ENDPOINT` and `TASKHUB` name.

`http://...` is a scheduler on this machine: it is asked without a sign-in. `https://...` is the
managed one: each call has a token of the identity that the program runs under, in a channel of
gRPC's own.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import grpc
import grpc.aio
from azure.core.credentials import TokenCredential
from azure.identity import DefaultAzureCredential
from durabletask.client import AsyncTaskHubGrpcClient, TaskHubGrpcClient
from durabletask.worker import ConcurrencyOptions, TaskHubGrpcWorker

_SCOPE = "https://durabletask.io/.default"
_CALLS_AT_A_TIME = 64
# For orchestrations and entities, which must not wait until a model has answered.
_OTHER_THREADS = 16


class _SignedIn(grpc.AuthMetadataPlugin):
    """Adds the task hub and a token to each call; the credential keeps tokens until they end."""

    def __init__(self, credential: TokenCredential, task_hub: str) -> None:
        self._credential = credential
        self._task_hub = task_hub

    def __call__(
        self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback
    ) -> None:
        try:
            token = self._credential.get_token(_SCOPE).token
        except Exception as error:  # whatever it is, the call gets it
            callback((), error)
            return
        callback((("taskhub", self._task_hub), ("authorization", f"Bearer {token}")), None)


@dataclass(frozen=True)
class Connection:
    """A task hub of a scheduler.

    Attributes:
        endpoint: The scheduler's URL.
        task_hub: The name of the task hub.
        credential: Who signs in at a managed scheduler; None for the machine's identity.
    """

    endpoint: str = "http://127.0.0.1:8080"
    task_hub: str = "default"
    credential: TokenCredential | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Connection":
        """Return the one that the settings name."""
        return cls(environ.get("ENDPOINT") or cls.endpoint, environ.get("TASKHUB") or cls.task_hub)

    def worker(self) -> TaskHubGrpcWorker:
        """Return a worker with a thread for each model or tool that is waited for."""
        concurrency = ConcurrencyOptions(
            maximum_concurrent_activity_work_items=_CALLS_AT_A_TIME,
            maximum_thread_pool_workers=_CALLS_AT_A_TIME + _OTHER_THREADS,
        )
        return TaskHubGrpcWorker(**self._arguments(grpc), concurrency_options=concurrency)

    def client(self) -> TaskHubGrpcClient:
        """Return a client for programs that wait."""
        return TaskHubGrpcClient(**self._arguments(grpc))

    def async_client(self) -> AsyncTaskHubGrpcClient:
        """Return a client for the running event loop."""
        return AsyncTaskHubGrpcClient(**self._arguments(grpc.aio))

    def _arguments(self, channels: Any) -> dict[str, Any]:
        url = urlsplit(self.endpoint)
        if url.scheme != "https":
            return {"host_address": self.endpoint, "metadata": [("taskhub", self.task_hub)]}
        signed_in = grpc.metadata_call_credentials(
            _SignedIn(self.credential or DefaultAzureCredential(), self.task_hub)
        )
        secure = grpc.composite_channel_credentials(grpc.ssl_channel_credentials(), signed_in)
        return {"channel": channels.secure_channel(f"{url.hostname}:{url.port or 443}", secure)}
