"""A message as a function's trigger gets it."""

import base64
import json
from datetime import datetime

from azure.storage.queue import QueueMessage

from local_runtime.functions_host.app.worker_messages import TypedData
from local_runtime.functions_host.triggers.storage_queue.queue_listener import Unreadable


def trigger_value(message: QueueMessage, *, as_base64: bool) -> TypedData:
    """Return what the message says: a text, or bytes where it is none.

    Raises:
        Unreadable: It is not base64 though it should be.
    """
    content = str(message.content).encode()
    if as_base64:
        try:
            content = base64.b64decode(content, validate=True)
        except ValueError:
            raise Unreadable(
                "is not base64. If the messages of this app are plain texts, set "
                "extensions.queues.messageEncoding to none in host.json"
            ) from None
    try:
        return TypedData(string=content.decode())
    except UnicodeDecodeError:
        return TypedData(bytes=content)


def trigger_metadata(message: QueueMessage, value: TypedData) -> dict[str, TypedData]:
    """Return what a function may know of its message, under the names of the Functions host."""
    content = value.value if isinstance(value.value, str) else "(binary)"
    return {
        "Id": TypedData(string=str(message.id)),
        "QueueTrigger": TypedData(string=content),
        "DequeueCount": TypedData(json=json.dumps(message.dequeue_count)),
        "PopReceipt": TypedData(string=str(message.pop_receipt)),
        "InsertionTime": _moment(message.inserted_on),
        "ExpirationTime": _moment(message.expires_on),
        "NextVisibleTime": _moment(message.next_visible_on),
    }


def _moment(at: datetime | None) -> TypedData:
    return TypedData(json=json.dumps(at.isoformat() if at is not None else None))
