"""The listeners of all functions of an app that a queue or a blob triggers."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

from local_runtime.functions_host.app.function_index import (
    BLOB_TRIGGER,
    QUEUE_TRIGGER,
    FunctionIndex,
)
from local_runtime.functions_host.app.invocation import Invoker
from local_runtime.functions_host.storage.accounts import StorageAccounts, StorageProblem
from local_runtime.functions_host.triggers.listener import Listener
from local_runtime.functions_host.triggers.storage_blob.blob_listeners import BlobListeners
from local_runtime.functions_host.triggers.storage_queue.queue_trigger import queue_listener
from local_runtime.settings import QueueSettings

_HOST_ID = "AzureFunctionsWebHost__hostid"

logger = logging.getLogger("local_runtime.host")


def storage_listeners(
    index: FunctionIndex,
    invoker: Invoker,
    accounts: StorageAccounts,
    settings: QueueSettings,
    environ: Mapping[str, str],
    app_dir: Path,
) -> list[Listener]:
    """Return the listeners; a function whose account cannot be used is left out, and named."""
    listeners: list[Listener] = []
    for function in index.triggered_by(QUEUE_TRIGGER):
        try:
            listeners.append(queue_listener(function, invoker, accounts, settings, environ))
        except StorageProblem as problem:
            logger.warning("function %r is not triggered: %s", function.name, problem)
    host_id = environ.get(_HOST_ID, "") or _own_host_id(app_dir)
    blobs = BlobListeners(invoker, accounts, settings, environ, host_id)
    return listeners + blobs.create(index.triggered_by(BLOB_TRIGGER))


def _own_host_id(app_dir: Path) -> str:
    """Return what tells this app's receipts and queue from those of others in the account."""
    return hashlib.sha256(str(app_dir).encode()).hexdigest()[:32]
