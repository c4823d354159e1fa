"""Puts an HTTP request into the form in which a function is given it."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from local_runtime.functions_host.app.worker_messages import RpcHttp, TypedData
from local_runtime.functions_host.web.request_parts import raw_path


def to_rpc(request: Request, params: Mapping[str, str], body: bytes) -> RpcHttp:
    """Return the request as the value of an HTTP trigger.

    Headers and query parameters that come several times are joined with commas. A query parameter
    without a value is left out, as it is by the real host for Python apps.
    """
    scope = request.scope
    pairs: list[tuple[bytes, bytes]] = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
    if len(headers) < len(pairs):
        headers = _joined(pairs)
    host = headers.get("host") or "{}:{}".format(*scope["server"])
    url = f"{scope['scheme']}://{host}{raw_path(request)}"
    query_string: bytes = scope["query_string"]
    if query_string:
        url = f"{url}?{query_string.decode('latin-1')}"
    return RpcHttp(
        method=scope["method"],
        url=url,
        headers=headers,
        body=TypedData(bytes=body),
        params=params,
        query=_query(query_string) if query_string else {},
    )


def _joined(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _query(query_string: bytes) -> dict[str, str]:
    query: dict[str, str] = {}
    spelled: dict[str, str] = {}
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, errors="replace")
    for name, value in pairs:
        # Names are compared without case; the first one's spelling stays.
        name = spelled.setdefault(name.lower(), name)
        query[name] = f"{query[name]},{value}" if name in query else value
    return {name: value for name, value in query.items() if value}
