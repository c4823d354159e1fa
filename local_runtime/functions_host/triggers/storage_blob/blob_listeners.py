"""The listeners of all functions with a blob trigger: a scan each, and a queue for each account.

As in the Functions host, a scan does not invoke: it leaves a note in a queue of this host's own, so
that a blob is tried as often as a message, by the same settings, and then goes to a poison queue.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

from azure.storage.queue import QueueClient

from local_runtime.functions_host.app.function_index import Function
from local_runtime.functions_host.app.invocation import Invoker
from local_runtime.functions_host.storage.accounts import StorageAccounts, StorageProblem
from local_runtime.functions_host.storage.blob_path import BlobPattern
from local_runtime.functions_host.storage.connections import DEFAULT_CONNECTION, find_connection
from local_runtime.functions_host.storage.message_queue import MessageQueue
from local_runtime.functions_host.storage.queue_output import encoded
from local_runtime.functions_host.storage.sending import send_message
from local_runtime.functions_host.triggers.listener import Listener
from local_runtime.functions_host.triggers.storage_blob.blob_scan import BlobScan
from local_runtime.functions_host.triggers.storage_blob.blob_task import BlobTask, function_id
from local_runtime.functions_host.triggers.storage_blob.blob_trigger import (
    BlobFunction,
    BlobTrigger,
)
from local_runtime.functions_host.triggers.storage_blob.receipts import CONTAINER, Receipts
from local_runtime.functions_host.triggers.storage_queue.queue_listener import QueueListener
from local_runtime.settings import QueueSettings, resolve

POISON_QUEUE = "webjobs-blobtrigger-poison"
_QUEUE = "azure-webjobs-blobtrigger-"

logger = logging.getLogger("local_runtime.host")


class BlobListeners:
    """Makes the listeners of blob triggers."""

    def __init__(
        self,
        invoker: Invoker,
        accounts: StorageAccounts,
        settings: QueueSettings,
        environ: Mapping[str, str],
        host_id: str,
    ) -> None:
        self._invoker = invoker
        self._accounts = accounts
        self._settings = settings
        self._environ = environ
        self._host_id = host_id

    def create(self, functions: Sequence[Function]) -> list[Listener]:
        """Return the listeners; a function whose account cannot be used is left out, and named."""
        by_connection: dict[str, dict[str, BlobFunction]] = defaultdict(dict)
        listeners: list[Listener] = []
        for function in functions:
            path = resolve(str(function.trigger.settings["path"]), self._environ) or ""
            target = BlobFunction(function, BlobPattern.parse(path))
            try:
                listeners.append(self._scan(target))
            except StorageProblem as problem:
                logger.warning("function %r is not triggered: %s", function.name, problem)
                continue
            by_connection[function.trigger.connection][function.name] = target
        for connection, targets in by_connection.items():
            listeners.append(self._queue(connection, targets))
        return listeners

    def _scan(self, target: BlobFunction) -> BlobScan:
        connection = target.function.trigger.connection
        queue = self._client(connection, _QUEUE + self._host_id)

        def send(task: BlobTask) -> None:
            send_message(queue, encoded(task.to_json(), as_base64=self._settings.base64))

        blobs = self._accounts.blobs(connection)
        return BlobScan(
            target.function.name,
            target.pattern,
            blobs.get_container_client(target.pattern.container),
            self._receipts(target),
            send,
            self._accounts,
            self._settings.longest_pause_seconds,
        )

    def _receipts(self, target: BlobFunction) -> Receipts:
        usual = find_connection(DEFAULT_CONNECTION, self._environ) is not None
        service = self._accounts.blobs(
            DEFAULT_CONNECTION if usual else target.function.trigger.connection
        )
        container = service.get_container_client(CONTAINER)
        return Receipts(container, self._host_id, function_id(target.function.name))

    def _queue(self, connection: str, targets: Mapping[str, BlobFunction]) -> QueueListener:
        trigger = BlobTrigger(
            targets, self._invoker, self._accounts, as_base64=self._settings.base64
        )
        return QueueListener(
            MessageQueue(self._accounts, self._client(connection, _QUEUE + self._host_id)),
            MessageQueue(self._accounts, self._client(connection, POISON_QUEUE)),
            trigger.work,
            self._settings,
            inner=True,
        )

    def _client(self, connection: str, name: str) -> QueueClient:
        return self._accounts.queues(connection).get_queue_client(name)
