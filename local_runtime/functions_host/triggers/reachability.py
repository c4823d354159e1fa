"""Tells once that a storage account is gone, and once that it is back."""

import logging

from azure.core.exceptions import AzureError

from local_runtime.functions_host.storage.accounts import reason

logger = logging.getLogger("local_runtime.host")

FIRST_PAUSE = 0.1
LONGEST_OUTAGE_PAUSE = 2.0


class Reachability:
    """What is known of one place in a storage account."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._gone = False

    def lost(self, error: AzureError) -> None:
        """Note that the account did not answer as it should."""
        if not self._gone:
            logger.warning("%s cannot be reached, waiting: %s", self._what, reason(error))
        self._gone = True

    def found(self) -> None:
        """Note that it did."""
        if self._gone:
            logger.info("%s is reached again", self._what)
        self._gone = False
