"""The storage side of a host process, loaded only for an app that has storage bindings."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_runtime.clock import SystemClock
from local_runtime.functions_host.app.function_index import (
    BLOB,
    BLOB_TRIGGER,
    QUEUE_OUTPUT,
    QUEUE_TRIGGER,
    FunctionIndex,
)
from local_runtime.functions_host.app.invocation import DataBindings, Invoker, NoDataBindings
from local_runtime.functions_host.ids import random_id
from local_runtime.functions_host.triggers.listener import Listener
from local_runtime.settings import AppSettings

if TYPE_CHECKING:
    from local_runtime.functions_host.storage.accounts import StorageAccounts


@dataclass(frozen=True)
class StorageSide:
    """The storage accounts of an app, and what its functions read and write there."""

    bindings: DataBindings
    _app: AppSettings
    _accounts: "StorageAccounts | None" = None

    def listeners(self, index: FunctionIndex, invoker: Invoker) -> Sequence[Listener]:
        """Return the listeners of all functions that a queue or a blob triggers."""
        if self._accounts is None:
            return []
        from local_runtime.functions_host.triggers.storage_listeners import storage_listeners

        settings = self._app.host.queues
        app_dir = self._app.app_dir
        return storage_listeners(index, invoker, self._accounts, settings, os.environ, app_dir)


async def storage_side(
    index: FunctionIndex, app: AppSettings, closing: contextlib.AsyncExitStack
) -> StorageSide:
    """Return the storage side, which does nothing for an app without storage bindings."""
    kinds = {one.type for function in index.functions for one in function.bindings}
    if not kinds & {QUEUE_TRIGGER, QUEUE_OUTPUT, BLOB_TRIGGER, BLOB}:
        return StorageSide(NoDataBindings(), app)
    # Here, so that other apps need neither the time nor the memory for it.
    from local_runtime.functions_host.storage.accounts import StorageAccounts
    from local_runtime.functions_host.storage.bindings import StorageBindings
    from local_runtime.functions_host.storage.expressions import Expressions

    accounts = await closing.enter_async_context(StorageAccounts(os.environ))
    expressions = Expressions(SystemClock(), random_id)
    bindings = StorageBindings(accounts, expressions, os.environ, base64=app.host.queues.base64)
    return StorageSide(bindings, app, accounts)
