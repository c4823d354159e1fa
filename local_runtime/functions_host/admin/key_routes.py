"""Key management: /admin/host/{keys|functionkeys|systemkeys} and /admin/functions/{name}/keys.

A key's value is in the reply that makes or sets it and in none after that: only its fingerprint is
kept. In lists it is null, but for the key in management URLs, which can be told again.
"""

from starlette.responses import Response

from local_runtime.functions_host.admin.admin_call import (
    AdminCall,
    bad_request,
    json_reply,
    not_found,
)
from local_runtime.functions_host.app.function_index import FunctionIndex
from local_runtime.functions_host.keys.key_ring import (
    HOST_KEYS,
    MASTER,
    SYSTEM_KEYS,
    WEBHOOK,
    function_scope,
    is_key_name,
)
from local_runtime.functions_host.keys.key_store import KeyStore

# `keys` is what the function keys of the host were called first.
_HOST_SCOPES = {"keys": HOST_KEYS, HOST_KEYS: HOST_KEYS, SYSTEM_KEYS: SYSTEM_KEYS}
_LONGEST_VALUE = 1024


class KeyRoutes:
    """Lists, makes, sets and deletes keys."""

    def __init__(self, keys: KeyStore, index: FunctionIndex) -> None:
        self._keys = keys
        self._index = index

    async def list(self, call: AdminCall) -> Response:
        """GET: the keys of a scope; the master key is in no list."""
        scope = self._scope(call)
        if scope is None:
            return not_found()
        names = self._keys.kept_ring().names(scope)
        keys = [{"name": name, "value": self._value(scope, name)} for name in names]
        return json_reply({"keys": keys, "links": _links(call)})

    async def get(self, call: AdminCall) -> Response:
        """GET: one key."""
        scope, name = self._scope(call), call.params["key"]
        if scope is None or (name.lower() == MASTER and scope != SYSTEM_KEYS):
            return not_found()
        found = self._keys.kept_ring().find(scope, name)
        if found is None:
            return not_found()
        return _key(call, found, self._value(scope, found))

    async def make(self, call: AdminCall) -> Response:
        """POST: give a key a new value that nobody can guess."""
        scope, name = self._scope(call), call.params["key"]
        if scope is None:
            return not_found()
        if not _may_be_named(scope, name):
            return bad_request("Invalid key name.")
        value, is_new = self._keys.make(scope, name)
        return _key(call, name, value, 201 if is_new or name.lower() == MASTER else 200)

    async def put(self, call: AdminCall) -> Response:
        """PUT: give a key the value in the body."""
        scope, name = self._scope(call), call.params["key"]
        body = await call.body()
        value = (body or {}).get("value")
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_VALUE:
            return bad_request("Invalid key value")
        if scope is None:
            return not_found()
        if not _may_be_named(scope, name):
            return bad_request("Invalid key name.")
        is_new = self._keys.put(scope, name, value)
        return _key(call, name, value, 201 if is_new and name.lower() != MASTER else 200)

    async def delete(self, call: AdminCall) -> Response:
        """DELETE: a key whose name begins with `_`, like the master key's, cannot be deleted."""
        scope, name = self._scope(call), call.params["key"]
        if name.startswith("_"):
            return bad_request("Invalid key name.")
        if scope is None or not self._keys.delete(scope, name):
            return not_found()
        return Response(status_code=204)

    def _scope(self, call: AdminCall) -> str | None:
        if "scope" in call.params:
            return _HOST_SCOPES.get(call.params["scope"].lower())
        function = self._index.by_name(call.params["name"])
        return None if function is None else function_scope(function.name)

    def _value(self, scope: str, name: str) -> str | None:
        is_webhook = (scope, name) == (SYSTEM_KEYS, WEBHOOK)
        return self._keys.kept_ring().webhook_value if is_webhook else None


def _may_be_named(scope: str, name: str) -> bool:
    if name.lower() == MASTER:
        return scope in _HOST_SCOPES.values()
    return is_key_name(name)


def _key(call: AdminCall, name: str, value: str | None, status: int = 200) -> Response:
    links = _links(call)
    headers = {"Location": links[0]["href"]} if status == 201 else {}
    return json_reply({"name": name, "value": value, "links": links}, status, headers)


def _links(call: AdminCall) -> list[dict[str, str]]:
    # Without the query, which may hold the master key.
    return [{"rel": "self", "href": f"{call.base_url}{call.request.url.path}"}]
