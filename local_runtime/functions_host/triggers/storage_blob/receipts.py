"""Which versions of which blobs have been handed to a function, kept in the storage account."""

import hashlib

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient

from local_runtime.functions_host.storage.sending import upload_blob

CONTAINER = "azure-webjobs-hosts"
_FOLDER = "blobreceipts"
_LONGEST_NAME = 1024


class Receipts:
    """The receipts of one function. Its methods block, and raise AzureError."""

    def __init__(self, container: ContainerClient, host_id: str, function_id: str) -> None:
        self._container = container
        self._prefix = f"{_FOLDER}/{host_id}/{function_id}/"

    def load(self) -> set[str]:
        """Return the keys of all versions that have a receipt."""
        blobs = self._container.list_blobs(name_starts_with=self._prefix)
        try:
            return {str(blob.name).removeprefix(self._prefix) for blob in blobs}
        except ResourceNotFoundError:
            return set()

    def key(self, container: str, name: str, etag: str) -> str:
        """Return what names one version of a blob."""
        # The version first: a blob's name may hold slashes, and anything may follow one.
        key = f"{etag}/{container}/{name}"
        if len(self._prefix + key) <= _LONGEST_NAME:
            return key
        return f"{etag}/{container}/{hashlib.sha256(name.encode()).hexdigest()}"

    def add(self, key: str) -> None:
        """Note that a version has been handed to the function."""
        upload_blob(self._container, self._prefix + key, b"")
