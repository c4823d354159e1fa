"""What a queue output holds: one message or several, in the form the worker library sends them."""

import base64
import json
from typing import cast

from local_runtime.functions_host.app.worker_messages import TypedData


def queue_messages(data: TypedData) -> list[str | bytes]:
    """Return the messages that a function put out: texts, bytes, `QueueMessage`s, or a list."""
    if data.kind != "json":
        return [data.value if isinstance(data.value, bytes) else str(data.value)]
    document: object = json.loads(str(data.value))
    items = cast("list[object]", document) if isinstance(document, list) else [document]
    return [_text(item) for item in items]


def encoded(message: str | bytes, *, as_base64: bool) -> str:
    """Return the text that is stored in the queue.

    Raises:
        ValueError: The bytes are no text, which a queue of plain texts cannot hold.
    """
    content = message.encode() if isinstance(message, str) else message
    return base64.b64encode(content).decode("ascii") if as_base64 else content.decode()


def _text(item: object) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, dict) and set(cast("dict[str, object]", item)) == {"id", "body"}:
        return str(cast("dict[str, object]", item)["body"])
    return json.dumps(item)
