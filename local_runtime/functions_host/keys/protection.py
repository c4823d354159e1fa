"""Decides whether a request may be answered: by its key, or without keys by where it comes from."""

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from local_runtime.functions_host.keys.browser_guard import BrowserGuard
from local_runtime.functions_host.keys.key_ring import HOST_KEYS, function_scope
from local_runtime.functions_host.keys.key_store import KeyStore

_HEADER, _PARAMETER = "x-functions-key", "code"
_ANONYMOUS, _FUNCTION = "anonymous", "function"


class Protection:
    """Asks for keys, if the host was told to; else it only keeps web pages out."""

    def __init__(self, keys: KeyStore, guard: BrowserGuard, *, asks_for_keys: bool) -> None:
        self._keys = keys
        self._guard = guard
        self.asks_for_keys = asks_for_keys

    def webhook_key(self) -> str | None:
        """Return the key that management URLs carry; None if none is asked for."""
        return self._keys.webhook_value() if self.asks_for_keys else None

    def of_function(self, request: Request, function: str, auth_level: str) -> Response | None:
        """Return the refusal of a request to an HTTP function; None to let it through."""
        level = auth_level.lower()
        if not self.asks_for_keys or level == _ANONYMOUS:
            return None
        value = key_in(request)
        ring = self._keys.ring()
        scopes = [HOST_KEYS, function_scope(function)] if level == _FUNCTION else []
        # A list, so that all comparisons are made. Any other level is the master key's.
        opens = [ring.is_master(value), *(ring.is_of_scope(value, scope) for scope in scopes)]
        return None if value and any(opens) else Response(status_code=401)

    def of_webhook(self, request: Request) -> Response | None:
        """Return the refusal of a request to the durabletask webhook; None to let it through."""
        if not self.asks_for_keys:
            return None if self._guard.may_change(request) else _refuse_page()
        value = key_in(request)
        ring = self._keys.ring()
        opens = [ring.is_master(value), ring.is_of_webhook(value)]
        return None if value and any(opens) else Response(status_code=401)

    def of_admin(self, request: Request) -> Response | None:
        """Return the refusal of a request to manage the host; None to let it through."""
        if self.asks_for_keys:
            value = key_in(request)
            if value and self._keys.ring().is_master(value):
                return None
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        if not self._guard.names_this_machine(request):
            return _refuse_name()
        return None if self._guard.may_change(request) else _refuse_page()


def key_in(request: Request) -> str:
    """Return the key that a request carries; the header counts before the query."""
    header = request.headers.get(_HEADER)
    if header is not None:
        return header
    for name, value in parse_qsl(request.url.query, keep_blank_values=True):
        if name.lower() == _PARAMETER:
            return value
    return ""


def _refuse_page() -> Response:
    return PlainTextResponse(
        "A web page of another origin sent this request, and the host asks for no keys: refused. "
        "With --enable-auth, a key is asked for instead.\n",
        403,
    )


def _refuse_name() -> Response:
    return PlainTextResponse(
        "This part of the host is only for requests to localhost or to an IP address, as long as "
        "it asks for no keys. With --enable-auth, the master key is asked for instead.\n",
        403,
    )
