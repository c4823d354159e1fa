"""An MCP server that says what no library would let it say: lines of JSON, in and out.

    python mcp_server.py LOG [mode]

Each start, and each call with its name, is a line in the file LOG. Modes: `silent` answers nothing,
`stuck` does not end when its input does.
"""

import base64
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

LONG = "files.read/λ-" + "x" * 60
OBJECT: dict[str, Any] = {"type": "object", "properties": {}}
ROWS = {"type": "object", "properties": {"rows": {"type": "array"}}, "required": ["rows"]}
DEFS = {
    "type": "object",
    "properties": {"at": {"$ref": "#/$defs/Place"}, "lines": {"type": "integer", "x-unit": "1"}},
    "required": ["at"],
    "$defs": {"Place": {"type": "object", "properties": {"path": {"type": "string"}}}},
}
SCHEMAS: dict[str, Any] = {
    "ping": {"type": "object"},
    "bad": {"type": "string"},
    "rows": ROWS,
    LONG: DEFS,
    "boom": OBJECT,
    "shot": OBJECT,
    "nothing": OBJECT,
    "data": OBJECT,
    "odd": OBJECT,
    "refuse": OBJECT,
    "die": OBJECT,
    "hang": OBJECT,
    "pid": OBJECT,
    "env": OBJECT,
}
ERROR = {
    "content": [{"type": "text", "text": "disk full"}],
    "isError": True,
    "structuredContent": {"rows": 3},
}
IMAGE = {
    "type": "image",
    "mimeType": "image/png",
    "data": base64.b64encode(b"p" * 300_000).decode(),
}


class Server:
    """Answers one message after the other."""

    def __init__(self, log: Path, mode: str) -> None:
        self._log = log
        self._mode = mode
        self._died = False

    def note(self, *what: Any) -> None:
        with self._log.open("a") as lines:
            lines.write(json.dumps(what) + "\n")

    def answer(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        match method:
            case "initialize":
                return {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "odd", "version": "1"},
                }
            case "tools/list":
                # One tool a page, so that nobody takes the first page for all.
                names = list(SCHEMAS)
                at = int(params.get("cursor") or 0)
                one = {"name": names[at], "inputSchema": SCHEMAS[names[at]], "description": None}
                more = {"nextCursor": str(at + 1)} if at + 1 < len(names) else {}
                return {"tools": [one], **more}
            case "tools/call":
                return self.call(params["name"], params.get("arguments") or {})
            case _:
                return None

    def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.note(name, arguments)
        match name:
            case "boom":
                return ERROR
            case "shot":
                return {"content": [IMAGE]}
            case "nothing":
                return {"content": []}
            case "data":
                return {"content": [], "structuredContent": {"rows": 3}}
            case "odd":
                return {"content": [{"type": "smell"}, {"type": "text", "text": "fresh"}]}
            case "die":
                os._exit(1)
            case "hang":
                threading.Event().wait()
            case "pid":
                return text(str(os.getpid()))
            case "env":
                return text(json.dumps(sorted(os.environ)))
            case _:
                pass
        return text(f"{name} {json.dumps(arguments)}")

    def serve(self) -> None:
        self.note("started", os.getpid())
        for line in sys.stdin:
            message = json.loads(line)
            if "id" not in message or self._mode == "silent":
                continue
            params: dict[str, Any] = message.get("params") or {}
            reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
            if params.get("name") == "refuse":
                reply["error"] = {"code": -32602, "message": "no such file"}
            else:
                result = self.answer(message["method"], params)
                missing = {"code": -32601, "message": "no such method"}
                reply |= {"error": missing} if result is None else {"result": result}
            sys.stdout.write(json.dumps(reply) + "\n")
            sys.stdout.flush()
        while self._mode == "stuck":
            threading.Event().wait()


def text(words: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}]}


if __name__ == "__main__":
    Server(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "").serve()
