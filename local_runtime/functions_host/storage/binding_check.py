"""Says at the start why a storage binding cannot be served, rather than at its first use."""

from collections.abc import Mapping
from typing import Any

from local_runtime.functions_host.storage.blob_path import BlobPattern
from local_runtime.functions_host.storage.connections import find_connection, missing_setting
from local_runtime.settings import resolve


def storage_problem(
    kind: str, settings: Mapping[str, Any], environ: Mapping[str, str]
) -> str | None:
    """Return what is wrong with a queue or blob binding, to follow its name; None if nothing is.

    Args:
        kind: The type of the binding.
        settings: The binding as the app declares it.
        environ: The settings of the app.
    """
    name = str(settings.get("connection") or "")
    if find_connection(name, environ) is None:
        return f"cannot be used: {missing_setting(name)}"
    where = "queueName" if kind in ("queueTrigger", "queue") else "path"
    text = str(settings.get(where) or "")
    resolved = resolve(text, environ)
    if not resolved:
        return f"cannot be used: a setting in its {where} {text!r} is not set, or it is empty"
    if kind == "blobTrigger":
        return _blob_trigger_problem(settings, resolved)
    return None


def _blob_trigger_problem(settings: Mapping[str, Any], path: str) -> str | None:
    if str(settings.get("source") or "").lower() == "eventgrid":
        return (
            "has Event Grid as its source, which the embedded runtime does not support; without "
            "`source` it looks for new blobs by itself"
        )
    try:
        BlobPattern.parse(path)
    except ValueError as error:
        return f"cannot be used: {error}"
    return None
