"""Looks through a container for new versions of blobs, and puts a note of each into a queue."""

import asyncio
import logging
from collections.abc import Callable

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, ContainerClient

from local_runtime.functions_host.storage.accounts import StorageAccounts
from local_runtime.functions_host.storage.blob_path import BlobPattern
from local_runtime.functions_host.triggers.reachability import (
    FIRST_PAUSE,
    LONGEST_OUTAGE_PAUSE,
    Reachability,
)
from local_runtime.functions_host.triggers.storage_blob.blob_task import BlobTask
from local_runtime.functions_host.triggers.storage_blob.receipts import Receipts

logger = logging.getLogger("local_runtime.host")


class BlobScan:
    """Watches one container for one function.

    Args:
        function: The function's name.
        pattern: Which blobs it is for.
        container: The container.
        receipts: What has been seen to, also by earlier runs of the host.
        send: Puts a note into the queue; it may block.
        accounts: Runs what blocks.
        longest_pause: The most seconds between two looks.
    """

    def __init__(
        self,
        function: str,
        pattern: BlobPattern,
        container: ContainerClient,
        receipts: Receipts,
        send: Callable[[BlobTask], None],
        accounts: StorageAccounts,
        longest_pause: float,
    ) -> None:
        self.name = f"container {pattern.container} for {function}"
        self._function = function
        self._pattern = pattern
        self._container = container
        self._receipts = receipts
        self._send = send
        self._accounts = accounts
        self._longest_pause = longest_pause
        self._seen: set[str] | None = None
        # Handed over, but without a receipt yet, because the account did not take it.
        self._sent: set[str] = set()
        self._account = Reachability(f"container {pattern.container!r}")
        self._stopping = False

    async def run(self) -> None:
        """Look for new versions until cancelled."""
        pause = FIRST_PAUSE
        while not self._stopping:
            longest = self._longest_pause
            found = False
            try:
                found = await self._accounts.call(self._look)
                self._account.found()
            except AzureError as error:
                self._account.lost(error)
                longest = LONGEST_OUTAGE_PAUSE
            pause = FIRST_PAUSE if found else min(pause * 2, longest)
            await asyncio.sleep(pause)

    async def stop(self, grace: float) -> None:
        """Look no more; the thread that looks ends at its next blob."""
        self._stopping = True

    def _look(self) -> bool:
        """Go through the container once; whether anything was new."""
        seen = self._receipts.load() if self._seen is None else self._seen
        self._seen = seen
        there: set[str] = set()
        found = False
        try:
            for blob in self._container.list_blobs():
                name, etag = str(blob.name), str(blob.etag).strip('"')
                if self._stopping:
                    return found
                if self._pattern.match(name) is None:
                    continue
                key = self._receipts.key(self._pattern.container, name, etag)
                there.add(key)
                if key not in seen:
                    found = self._try_hand_over(key, name, etag, _kind(blob)) or found
        except ResourceNotFoundError:
            return False  # there is no such container yet
        self._seen = there
        return found

    def _try_hand_over(self, key: str, name: str, etag: str, blob_type: str) -> bool:
        """Hand a blob over; whether that could be done, which for one blob may never be."""
        try:
            self._hand_over(key, name, etag, blob_type)
        except Exception as error:
            if _is_the_accounts(error):
                raise
            # Not tried at each look: if it is the receipt that fails, each would run the function.
            logger.exception(
                "function %s: blob %r in container %r could not be handed over. The others go on; "
                "it is tried again when the host is started again",
                self._function,
                name,
                self._pattern.container,
            )
            return False
        return True

    def _hand_over(self, key: str, name: str, etag: str, blob_type: str) -> None:
        # In this order: killed between the two, the host hands the blob over once more; the other
        # way round it never would.
        if key not in self._sent:
            self._send(BlobTask(self._function, self._pattern.container, name, etag, blob_type))
            self._sent.add(key)
        self._receipts.add(key)
        self._sent.discard(key)
        if self._seen is not None:
            self._seen.add(key)


def _is_the_accounts(error: Exception) -> bool:
    """Whether an error would meet every other blob, too."""
    if not isinstance(error, HttpResponseError):
        return isinstance(error, AzureError)
    # The one request makes no sense to an account that answers: of a name that cannot be, say.
    return error.status_code not in (400, 413, 414)


def _kind(blob: BlobProperties) -> str:
    return str(getattr(blob.blob_type, "value", blob.blob_type) or "BlockBlob")
