"""/admin/functions: what the app holds, and running one of its functions by hand."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from local_runtime.functions_host.admin.admin_call import (
    AdminCall,
    bad_request,
    json_reply,
    not_found,
)
from local_runtime.functions_host.admin.hand_runs import HandRuns, NotByHand
from local_runtime.functions_host.app.function_index import HTTP_TRIGGER, Function, FunctionIndex

_LANGUAGE = "python"


class FunctionRoutes:
    """Describes functions and runs them."""

    def __init__(
        self, index: FunctionIndex, app_dir: Path, route_prefix: str, runs: HandRuns
    ) -> None:
        self._index = index
        self._app_dir = app_dir
        self._route_prefix = route_prefix
        self._runs = runs

    async def list(self, call: AdminCall) -> Response:
        """GET: all functions that are served."""
        return json_reply([self._describe(call, function) for function in self._index.functions])

    async def get(self, call: AdminCall) -> Response:
        """GET: one function."""
        function = self._index.by_name(call.params["name"])
        return not_found() if function is None else json_reply(self._describe(call, function))

    async def status(self, call: AdminCall) -> Response:
        """GET: an empty object, for a function with errors ends the start of this host."""
        known = self._index.by_name(call.params["name"]) is not None
        return json_reply({}) if known else not_found()

    async def run(self, call: AdminCall) -> Response:
        """POST `{"input": "..."}`: run a function; 202 before it has ended."""
        body = await call.body()
        if body is None:
            return bad_request('The body must be a JSON object like {"input": "..."}.')
        function = self._index.by_name(call.params["name"])
        if function is None:
            return not_found()
        try:
            self._runs.start(function, body.get("input"))
        except NotByHand as refusal:
            return bad_request(str(refusal))
        return Response(status_code=202)

    def _describe(self, call: AdminCall, function: Function) -> Mapping[str, Any]:
        script = os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
        base = call.base_url
        return {
            "name": function.name,
            "script_root_path_href": None,
            # The real host serves the file there, this one does not.
            "script_href": f"{base}/admin/vfs/{quote(script)}",
            "config_href": None,
            "test_data_href": None,
            "href": f"{base}/admin/functions/{quote(function.name, safe='')}",
            "invoke_url_template": self._invoke_url(base, function),
            "language": _LANGUAGE,
            "config": {
                "name": function.name,
                "entryPoint": function.entry_point,
                "scriptFile": script,
                "language": _LANGUAGE,
                "functionDirectory": str(self._app_dir),
                "bindings": [
                    dict(binding.settings) for binding in (function.trigger, *function.others)
                ],
            },
            "files": None,
            "test_data": None,
            "isDisabled": False,
            "isDirect": function.trigger.type == HTTP_TRIGGER,
            "isProxy": False,
        }

    def _invoke_url(self, base: str, function: Function) -> str | None:
        route = function.http_route(self._route_prefix)
        return None if route is None else f"{base}/{route}".lower()
