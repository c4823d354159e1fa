"""Which storage account a binding means: its `connection` names a setting, or a group of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_CONNECTION = "AzureWebJobsStorage"

_PREFIX = "AzureWebJobs"
_HOST = "https://{account}.{service}.core.windows.net"


@dataclass(frozen=True)
class Connection:
    """A storage account: by a connection string, or by URLs and the identity of this machine."""

    name: str
    connection_string: str = field(default="", repr=False)
    blob_url: str = ""
    queue_url: str = ""
    client_id: str = ""


def find_connection(name: str, environ: Mapping[str, str]) -> Connection | None:
    """Return the connection that a binding's `connection` names; None if it is not configured.

    Args:
        name: The setting's name, or the beginning of the names of identity settings
            (`NAME__queueServiceUri`, `NAME__blobServiceUri`, `NAME__accountName`); empty for
            AzureWebJobsStorage.
        environ: The settings.
    """
    name = name or DEFAULT_CONNECTION
    # The Functions host looks for the longer name first.
    text = environ.get(_PREFIX + name, "") or environ.get(name, "")
    if text.strip():
        return Connection(name, text.strip())
    account = environ.get(f"{name}__accountName", "")
    urls = {
        service: environ.get(f"{name}__{service}ServiceUri", "")
        or environ.get(f"{name}__serviceUri", "")
        or (_HOST.format(account=account, service=service) if account else "")
        for service in ("blob", "queue")
    }
    if not any(urls.values()):
        return None
    client_id = environ.get(f"{name}__clientId", "")
    return Connection(name, "", urls["blob"], urls["queue"], client_id)


def missing_setting(name: str) -> str:
    """Say which setting to give, for a connection that is not configured."""
    return f"the connection setting {name or DEFAULT_CONNECTION!r} is not set"
