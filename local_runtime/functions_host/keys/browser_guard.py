"""Keeps web pages out of a host that asks for no keys.

Whatever page a browser shows may send requests to 127.0.0.1: to another origin's address as a form
does (CSRF), or to its own name once that resolves to 127.0.0.1 (DNS rebinding). A browser then says
so: in `Origin` where something is to be changed, and in `Host` the name it looked up.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class BrowserGuard:
    """Tells requests that a page of somebody else may have made from all others."""

    def __init__(self, *, use_forwarded_host: bool) -> None:
        self._use_forwarded_host = use_forwarded_host

    def may_change(self, request: Request) -> bool:
        """Say whether a request may change something, or only reads.

        Programs send no `Origin`; pages of this machine, whatever their port, are its user's own.
        """
        origin = request.headers.get("origin")
        if origin is None or request.method in _READING:
            return True
        name = _name_of(origin)
        if name is None:
            return False  # `null`: a page whose origin is kept secret
        return _is_loopback(name) or self._is_same(origin, request)

    def names_this_machine(self, request: Request) -> bool:
        """Say whether the request was sent to an address, and not to a name of somebody else.

        A number cannot be rebound. Without a `Host` it was no browser.
        """
        host = request.headers.get("host")
        if not host:
            return True
        name = _name_of(f"//{host}")
        return name is not None and (_is_loopback(name) or _is_address(name))

    def _is_same(self, origin: str, request: Request) -> bool:
        """Say whether a page of a trusted address calls its own origin."""
        if not self.names_this_machine(request):
            return False
        own = [request.headers.get("host", "")]
        if self._use_forwarded_host:
            # A page of another origin cannot send this header without being asked for first.
            own.append(request.headers.get("x-forwarded-host", "").split(",", 1)[0].strip())
        return urlsplit(origin).netloc.lower() in {name.lower() for name in own if name}


def _name_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return _is_address(name) and ipaddress.ip_address(name).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
