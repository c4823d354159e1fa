"""Waits for what a storage account holds, which only tells when it is asked."""

import threading
from collections.abc import Callable
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

PATIENCE = 60.0


def until(check: Callable[[], Any]) -> Any:
    """Ask again and again, as one must ask a storage account, until the answer is a good one."""
    pause, waited = threading.Event(), 0.0
    while not (answer := check()):
        assert waited < PATIENCE, "waited too long"
        pause.wait(0.05)
        waited += 0.05
    return answer


def content_of(container, name: str) -> bytes | None:
    blob = container.get_blob_client(name)
    return blob.download_blob().readall() if container.exists() and blob.exists() else None


def received(queue) -> list:
    try:
        return list(queue.receive_messages())
    except ResourceNotFoundError:
        return []
