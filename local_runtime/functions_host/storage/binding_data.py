"""What the expressions of a function's other bindings may name: the data of its trigger."""

import json
from collections.abc import Mapping
from typing import Any, cast

from local_runtime.functions_host.app.worker_messages import RpcHttp, TypedData


def binding_data(trigger: TypedData, metadata: Mapping[str, TypedData]) -> dict[str, Any]:
    """Return what is known of one invocation, by name.

    These are the members of a payload that is a JSON object, then, and winning over them, the
    query and the route parameters of an HTTP request, or what comes with a message or a blob.
    """
    data: dict[str, Any] = {}
    if trigger.kind == "http":
        http = cast("RpcHttp", trigger.value)
        data |= _members(http.body.value if http.body is not None else None)
        data |= {"query": dict(http.query), "headers": dict(http.headers)}
        data |= {**http.query, **http.params}
    else:
        data |= _members(trigger.value)
    return data | {name: _plain(value) for name, value in metadata.items()}


def _members(payload: object) -> dict[str, Any]:
    if not isinstance(payload, str | bytes) or payload.lstrip()[:1] not in ("{", b"{"):
        return {}
    try:
        document: object = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}


def _plain(value: TypedData) -> Any:
    return json.loads(str(value.value)) if value.kind == "json" else value.value
