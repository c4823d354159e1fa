"""An MCP server over HTTP, as the library makes it: `python mcp_http_server.py PORT`.

It wants the header `x-key: sesame`.
"""

import sys
from typing import Any

import uvicorn
from mcp.server import MCPServer

server = MCPServer("sums")


@server.tool()
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


def guarded(app: Any) -> Any:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers") or ())
        if scope["type"] == "http" and headers.get(b"x-key") != b"sesame":
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, send)

    return answer


if __name__ == "__main__":
    app = guarded(server.streamable_http_app())
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
