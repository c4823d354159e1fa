"""The blob trigger: invokes a function of the app for each new version of a blob."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobProperties
from azure.storage.queue import QueueMessage

from local_runtime.functions_host.app.function_index import Function
from local_runtime.functions_host.app.invocation import FunctionFailed, Invoker
from local_runtime.functions_host.app.watchdog import FunctionTimedOut
from local_runtime.functions_host.app.worker_messages import TypedData
from local_runtime.functions_host.storage.accounts import StorageAccounts
from local_runtime.functions_host.storage.blob_path import BlobPattern
from local_runtime.functions_host.triggers.storage_blob.blob_task import BlobTask
from local_runtime.functions_host.triggers.storage_queue.queue_message import trigger_value

logger = logging.getLogger("local_runtime.host")


@dataclass(frozen=True)
class BlobFunction:
    """A function with a blob trigger, and the blobs it is for."""

    function: Function
    pattern: BlobPattern


class BlobTrigger:
    """Invokes functions for the notes in this host's own queue."""

    def __init__(
        self,
        functions: Mapping[str, BlobFunction],
        invoker: Invoker,
        accounts: StorageAccounts,
        *,
        as_base64: bool,
    ) -> None:
        self._functions = functions
        self._invoker = invoker
        self._accounts = accounts
        self._as_base64 = as_base64

    async def work(self, message: QueueMessage) -> bool:
        """Invoke the function that a note names; whether that succeeded.

        A note is done with, too, when its function or its blob is gone or the blob has changed:
        the new version has a note of its own.
        """
        task = BlobTask.from_json(str(trigger_value(message, as_base64=self._as_base64).value))
        target = self._functions.get(task.function)
        if target is None:
            logger.warning("blob %s/%s: no function %s", task.container, task.name, task.function)
            return True
        service = self._accounts.blobs(target.function.trigger.connection)
        blob = service.get_blob_client(task.container, task.name)
        try:
            properties, content = await self._accounts.call(_read, blob, task.etag)
        except (ResourceNotFoundError, ResourceModifiedError):
            return True
        metadata = _metadata(task, target, blob, properties)
        try:
            await self._invoker.invoke(
                target.function,
                TypedData(bytes=content),
                metadata=metadata,
                event=f"{blob.account_name}/{task.container}/{task.name} {task.etag}",
            )
        except FunctionTimedOut:
            return False  # it has been logged
        except FunctionFailed as failed:
            logger.error(
                "function %s failed for blob %s/%s (try %s): %s\n%s",
                task.function,
                task.container,
                task.name,
                message.dequeue_count,
                failed.text,
                failed.stack_trace,
            )
            return False
        return True


def _read(blob: BlobClient, etag: str) -> tuple[BlobProperties, bytes]:
    download = blob.download_blob(etag=etag, match_condition=MatchConditions.IfNotModified)
    return download.properties, download.readall()


def _metadata(
    task: BlobTask, target: BlobFunction, blob: BlobClient, properties: BlobProperties
) -> dict[str, TypedData]:
    known: dict[str, Any] = {
        "Properties": {
            "ContentLength": properties.size,
            "Length": properties.size,
            "ContentType": properties.content_settings.content_type,
            "ETag": task.etag,
            "BlobType": task.blob_type,
            "LastModified": properties.last_modified.isoformat(),
            "CreatedOn": properties.creation_time.isoformat(),
        },
        "Metadata": dict(properties.metadata or {}),
    }
    parts = target.pattern.match(task.name) or {}
    texts = {
        **parts,
        "BlobTrigger": f"{task.container}/{task.name}",
        # Without what may follow in a signed address.
        "Uri": str(blob.url).partition("?")[0],
    }
    return {
        **{name: TypedData(json=json.dumps(value)) for name, value in known.items()},
        **{name: TypedData(string=value) for name, value in texts.items()},
    }
