"""One queue of a storage account, without blocking."""

import logging
from collections.abc import Callable

from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueClient, QueueMessage

from local_runtime.functions_host.storage.accounts import StorageAccounts
from local_runtime.functions_host.storage.sending import send_message

logger = logging.getLogger("local_runtime.host")

_LOST = (400, 404, 409)


class MessageQueue:
    """Receives, hides, deletes and sends the messages of one queue.

    Its methods raise AzureError when the account cannot be reached or refuses.
    """

    def __init__(self, accounts: StorageAccounts, client: QueueClient) -> None:
        self._accounts = accounts
        self._client = client

    @property
    def name(self) -> str:
        """The queue's name."""
        return str(self._client.queue_name)

    @property
    def address(self) -> str:
        """What tells it apart from all other queues."""
        return f"{self._client.account_name}/{self.name}"

    async def receive(self, count: int, hidden_seconds: int) -> list[QueueMessage]:
        """Take up to `count` messages, which then are hidden from others for a while.

        Raises:
            ResourceNotFoundError: There is no such queue.
        """
        return await self._accounts.call(self._receive, count, hidden_seconds)

    async def hide(self, message: QueueMessage, seconds: int) -> bool:
        """Keep a message hidden for so long from now; 0 shows it again at once.

        Returns:
            Whether the message was still ours; if not, somebody else has taken it or deleted it.
        """
        return await self._accounts.call(self._hide, message, seconds)

    async def delete(self, message: QueueMessage) -> bool:
        """Delete a message; whether it was still ours."""
        return await self._accounts.call(
            self._ours, lambda: self._client.delete_message(message.id, message.pop_receipt)
        )

    async def send(self, content: str) -> None:
        """Add a message, and first the queue if there is none."""
        await self._accounts.call(send_message, self._client, content)

    def _receive(self, count: int, hidden_seconds: int) -> list[QueueMessage]:
        pages = self._client.receive_messages(
            messages_per_page=count, visibility_timeout=hidden_seconds
        ).by_page()
        return list(next(pages, ()))

    def _hide(self, message: QueueMessage, seconds: int) -> bool:
        def hide() -> None:
            changed = self._client.update_message(
                message.id, message.pop_receipt, visibility_timeout=seconds
            )
            message.pop_receipt = changed.pop_receipt

        return self._ours(hide)

    def _ours(self, change: Callable[[], object]) -> bool:
        try:
            change()
        except HttpResponseError as error:
            if error.status_code not in _LOST:
                raise
            logger.debug("queue %s: a message is not ours any more", self.name)
            return False
        return True
