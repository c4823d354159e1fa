"""The SDK's blob store, held to its own container; loaded only by apps that store payloads."""

from durabletask.extensions.azure_blob_payloads import BlobPayloadStore


class OwnContainerStore(BlobPayloadStore):
    """Takes for a reference only what points into its own container.

    A reference is plain text, and so may come in from outside as an input. Followed anywhere in the
    account, it would let a caller read with the app's rights what is none of the app's payloads.
    """

    def is_known_token(self, value: str) -> bool:
        """Return whether a text is a reference to a payload of this store."""
        if not super().is_known_token(value):
            return False
        container, _ = self._parse_token(value)
        return container == self.options.container_name
