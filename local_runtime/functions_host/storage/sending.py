"""Puts a message into a queue, and a blob into a container, making first what is not there."""

from contextlib import suppress

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient


def send_message(queue: QueueClient, text: str) -> None:
    """Send a message; this blocks."""
    try:
        queue.send_message(text)
    except ResourceNotFoundError:
        with suppress(ResourceExistsError):  # another may be faster
            queue.create_queue()
        queue.send_message(text)


def upload_blob(container: ContainerClient, name: str, content: bytes) -> None:
    """Write a blob, over one that is there; this blocks."""
    try:
        container.upload_blob(name, content, overwrite=True)
    except ResourceNotFoundError:
        with suppress(ResourceExistsError):  # another may be faster
            container.create_container()
        container.upload_blob(name, content, overwrite=True)
