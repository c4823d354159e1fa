"""Takes what MCP servers answer before it is checked: one bad tool must not cost the good ones.

The client library checks a whole answer against the protocol's schema. So a list with one malformed
tool in it would be refused, and a result with one unknown part would look like a failed call.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

import anyio.abc
from mcp.shared.dispatcher import CallOptions, Dispatcher, OnNotify, OnNotifyIntercept, OnRequest
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.message import SessionMessage
from mcp.shared.transport_context import TransportContext

_LIST = "tools/list"
_CALL = "tools/call"


class LenientDispatcher(Dispatcher[TransportContext]):
    """The messages to and from one server.

    Args:
        read_stream: What the server sends.
        write_stream: What is sent to it.

    Attributes:
        listed: The tools of the last answer to `tools/list`, as the server sent them.
        ended: Set when no more comes from the server.
    """

    def __init__(self, read_stream: Any, write_stream: Any) -> None:
        self._inner: JSONRPCDispatcher[TransportContext] = JSONRPCDispatcher(
            cast("anyio.abc.ObjectReceiveStream[SessionMessage | Exception]", read_stream),
            cast("anyio.abc.ObjectSendStream[SessionMessage]", write_stream),
        )
        self.listed: list[dict[str, Any]] = []
        self.ended = asyncio.Event()

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Send a request and return what the server answers, in a form that passes every check.

        Raises:
            MCPError: The server answers with an error, or not at all.
        """
        raw = await self._inner.send_raw_request(method, params, opts)
        if method == _LIST:
            return self._sound_list(raw)
        return _wrapped(raw) if method == _CALL else raw

    async def notify(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> None:
        """Send a notification."""
        await self._inner.notify(method, params, opts)

    async def run(
        self,
        on_request: OnRequest,
        on_notify: OnNotify,
        on_notify_intercept: OnNotifyIntercept | None = None,
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Receive until nothing more comes."""
        try:
            await self._inner.run(
                on_request, on_notify, on_notify_intercept, task_status=task_status
            )
        finally:
            self.ended.set()

    def _sound_list(self, raw: dict[str, Any]) -> dict[str, Any]:
        tools: object = raw.get("tools")
        self.listed = [
            cast("dict[str, Any]", one)
            for one in (cast("list[object]", tools) if isinstance(tools, list) else [])
            if isinstance(one, dict)
        ]
        # What the library knows of a tool: how its arguments are sent as headers.
        sound = [
            {"name": one["name"], "inputSchema": one["inputSchema"]}
            for one in self.listed
            if isinstance(one.get("name"), str) and _is_sound(one.get("inputSchema"))
        ]
        cursor: object = raw.get("nextCursor")
        more = {"nextCursor": cursor} if isinstance(cursor, str) and cursor else {}
        kept = {name: raw[name] for name in ("ttlMs", "cacheScope") if name in raw}
        return {**kept, "tools": sound, "resultType": "complete", **more}


def unwrapped(text: str) -> dict[str, Any]:
    """Return the answer to `tools/call`, as the server sent it, from the text it was wrapped in."""
    return cast("dict[str, Any]", json.loads(text))


def _wrapped(raw: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(raw)
    return {"content": [{"type": "text", "text": text}], "resultType": "complete"}


def _is_sound(schema: object) -> bool:
    if not isinstance(schema, dict):
        return False
    members = cast("dict[str, object]", schema)
    properties = members.get("properties", {})
    required = members.get("required", [])
    return (
        members.get("type") == "object"
        and isinstance(members.get("$schema", ""), str)
        and isinstance(properties, dict)
        and all(isinstance(one, dict) for one in cast("dict[str, object]", properties).values())
        and isinstance(required, list)
        and all(isinstance(one, str) for one in cast("list[object]", required))
    )
