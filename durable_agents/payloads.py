"""Large payloads: what is too large for the scheduler is kept in Azure Blob Storage.

The scheduler then holds a reference only. The SDK writes and reads the blobs, for the inputs and
outputs of activities, entities and orchestrations and for what durable clients send and read.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from durabletask.payload import PayloadStore

from durable_agents.errors import ConfigurationError

if TYPE_CHECKING:
    from durabletask.extensions.azure_blob_payloads import BlobPayloadStoreOptions

CONNECTION_STRING = "PAYLOAD_STORAGE_CONNECTION_STRING"
ACCOUNT_URL = "PAYLOAD_STORAGE_ACCOUNT_URL"
SERVICE_URI = "PAYLOAD_STORAGE__blobServiceUri"
CLIENT_ID = "PAYLOAD_STORAGE__clientId"
CONTAINER = "PAYLOAD_STORAGE_CONTAINER"
THRESHOLD = "PAYLOAD_STORAGE_THRESHOLD_BYTES"

# The managed scheduler takes 1 MB; with a larger threshold it would refuse what is not stored.
_LARGEST_THRESHOLD = 1_000_000


def payload_store_from_environment(environ: Mapping[str, str] | None = None) -> PayloadStore | None:
    """Return the store that the settings name; None if they name none. Empty counts as unset.

    `PAYLOAD_STORAGE_CONNECTION_STRING`, or `PAYLOAD_STORAGE_ACCOUNT_URL` (or
    `PAYLOAD_STORAGE__blobServiceUri`) and the identity the app runs under, which
    `PAYLOAD_STORAGE__clientId` may name. `PAYLOAD_STORAGE_THRESHOLD_BYTES` (262144) says from which
    size on a payload is stored, and `PAYLOAD_STORAGE_CONTAINER` (durabletask-payloads) where.

    Raises:
        ConfigurationError: A setting cannot be used; the message names it.
    """
    environ = os.environ if environ is None else environ

    def setting(name: str) -> str:
        return environ.get(name, "").strip()

    connection_string = setting(CONNECTION_STRING)
    account_url = setting(ACCOUNT_URL) or setting(SERVICE_URI)
    if not connection_string and not account_url:
        return None
    # Not before: an app that stores no payloads need not load the storage library.
    from durabletask.extensions.azure_blob_payloads import BlobPayloadStoreOptions

    from durable_agents.payload_store import OwnContainerStore

    options = BlobPayloadStoreOptions(threshold_bytes=_threshold(setting(THRESHOLD)))
    options.container_name = setting(CONTAINER) or options.container_name
    if connection_string:
        options.connection_string = connection_string
    elif not account_url.startswith(("https://", "http://")):
        raise ConfigurationError(
            f"{ACCOUNT_URL} is {account_url!r}; set it to a URL such as "
            "https://ACCOUNT.blob.core.windows.net."
        )
    else:
        _use_identity(options, account_url, setting(CLIENT_ID))
    try:
        return OwnContainerStore(options)
    except ValueError:
        # Without the library's words: they may repeat the connection string.
        name = CONNECTION_STRING if connection_string else ACCOUNT_URL
        raise ConfigurationError(
            f"{name} cannot be used; set it to what the storage account's page shows, or unset it."
        ) from None


def _use_identity(options: "BlobPayloadStoreOptions", account_url: str, client_id: str) -> None:
    from azure.identity import DefaultAzureCredential

    options.account_url = account_url
    options.credential = (
        DefaultAzureCredential(managed_identity_client_id=client_id)
        if client_id
        else DefaultAzureCredential()
    )


def _threshold(text: str) -> int:
    if not text:
        return 262_144
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _LARGEST_THRESHOLD:
        raise ConfigurationError(
            f"{THRESHOLD} is {text!r}; set a number of bytes from 1 to {_LARGEST_THRESHOLD}."
        )
    return int(text)
