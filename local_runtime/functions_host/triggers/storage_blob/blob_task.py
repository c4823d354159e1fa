"""The note that a blob waits for a function: what stands in this host's own queue."""

import json
from dataclasses import dataclass
from typing import Any, cast

_PREFIX = "Host.Functions."


@dataclass(frozen=True)
class BlobTask:
    """One version of one blob, and the function that it is for."""

    function: str
    container: str
    name: str
    etag: str
    blob_type: str = "BlockBlob"

    def to_json(self) -> str:
        """Return the note, in the form that the Functions host leaves in its poison queue."""
        return json.dumps(
            {
                "Type": "BlobTrigger",
                "FunctionId": _PREFIX + self.function,
                "BlobType": self.blob_type,
                "ContainerName": self.container,
                "BlobName": self.name,
                "ETag": self.etag,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "BlobTask":
        """Read a note.

        Raises:
            ValueError: It is none.
        """
        document: object = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError("not an object")
        note = cast("dict[str, Any]", document)
        try:
            return cls(
                str(note["FunctionId"]).removeprefix(_PREFIX),
                str(note["ContainerName"]),
                str(note["BlobName"]),
                str(note["ETag"]),
                str(note.get("BlobType", "BlockBlob")),
            )
        except KeyError as error:
            raise ValueError(f"{error} is missing") from None


def function_id(function: str) -> str:
    """Return the name under which a function's receipts are kept."""
    return _PREFIX + function
