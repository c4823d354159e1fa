"""Makes the HTTP response of what a function returned."""

import re
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

from local_runtime.functions_host.app.worker_messages import RpcHttp, RpcHttpCookie, TypedData
from local_runtime.http_server.whole_reply import WholeReply

# The server writes these as the body and the connection need them.
_OF_THE_SERVER = ("connection", "content-length", "transfer-encoding")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_HEADER_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")


class UnusableResponse(Exception):
    """What the function returned cannot be sent as an HTTP response; the message says why."""


def to_response(data: TypedData | None) -> WholeReply:
    """Return the response that a function's return value stands for.

    Raises:
        UnusableResponse: It cannot be sent.
    """
    if data is None or data.value is None:
        return WholeReply(HTTPStatus.NO_CONTENT)
    if data.kind != "http":
        content = data.value if isinstance(data.value, bytes) else str(data.value).encode()
        return WholeReply(HTTPStatus.OK, [(b"content-type", b"text/plain; charset=utf-8")], content)
    http = cast("RpcHttp", data.value)
    headers = [
        _header(name, value)
        for name, value in http.headers.items()
        if name.lower() not in _OF_THE_SERVER
    ]
    headers += [_header("set-cookie", _cookie(cookie)) for cookie in http.cookies or []]
    body = cast("bytes", http.body.value) if http.body is not None else b""
    return WholeReply(_status(http.status_code), headers, body)


def _status(code: str) -> int:
    text = code or "200"
    # Those below 200 are no answers, and those above 599 no server of ours can send.
    if not (text.isascii() and text.isdigit() and 200 <= int(text) <= 599):
        raise UnusableResponse(f"it has the status code {text!r}")
    return int(text)


def _header(name: str, value: str) -> tuple[bytes, bytes]:
    if _HEADER_NAME.fullmatch(name) is None:
        raise UnusableResponse(f"{name!r} cannot be the name of a header")
    if _NO_HEADER_VALUE.search(value) is not None:
        raise UnusableResponse(f"the value of its header {name!r} holds a character no header can")
    return name.lower().encode("latin-1"), value.encode("latin-1")


def _cookie(cookie: RpcHttpCookie) -> str:
    parts = [f"{cookie.name}={cookie.value}"]
    if cookie.domain is not None and cookie.domain.value:
        parts.append(f"domain={cookie.domain.value}")
    if cookie.path is not None and cookie.path.value:
        parts.append(f"path={cookie.path.value}")
    if cookie.expires is not None:
        parts.append(f"expires={formatdate(cookie.expires.value.seconds, usegmt=True)}")
    if cookie.max_age is not None:
        parts.append(f"max-age={int(cookie.max_age.value)}")
    if cookie.secure is not None and cookie.secure.value:
        parts.append("secure")
    if cookie.http_only is not None and cookie.http_only.value:
        parts.append("httponly")
    if cookie.same_site:
        parts.append(f"samesite={cookie.same_site.lower()}")
    return "; ".join(parts)
