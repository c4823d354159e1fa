"""A model server that answers what a test has written down, and keeps every request it got.

Bare asyncio: a test must be able to break a connection in the middle of a reply.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from durable_agents.testing import wire_problems


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def message(self) -> str:
        return self.body["messages"][-1]["content"]


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    broken: bool = False
    silent: bool = False
    # Sent again and again after the body, for as long as the client reads.
    endless: bytes = b""
    pause: float = 0
    # Held back until it is set.
    held: asyncio.Event | None = None


DROP = Reply(broken=True)


USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def says(
    text: str | None, *, finish: str = "stop", usage: dict[str, Any] | None = USAGE, **message: Any
) -> Reply:
    """Return a reply with a text; `usage=None` for a server that does not count."""
    document: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "scripted-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text} | message,
            }
        ],
    }
    if usage is not None:
        document["usage"] = usage
    return Reply(200, json.dumps(document).encode(), {"x-request-id": "req-1"})


def calls(
    *tools: tuple[Any, Any, Any], text: str | None = None, finish: str = "tool_calls", **more: Any
) -> Reply:
    """Return a reply that asks for tools, each as id, name and arguments (a text)."""
    asked = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id, name, arguments in tools
    ]
    return says(text, finish=finish, tool_calls=asked, **more)


def responds(
    text: str | None = None, *tools: tuple[Any, Any, Any], status: str = "completed", **more: Any
) -> Reply:
    """Return a reply of the Responses API, with a text and calls."""
    parts = [{"type": "output_text", "text": text, "annotations": []}]
    said = [{"type": "message", "role": "assistant", "content": parts}] if text else []
    asked = [
        {"type": "function_call", "id": f"fc_{id}", "call_id": id, "name": name, "arguments": given}
        for id, name, given in tools
    ]
    document = {
        "id": "resp_1",
        "object": "response",
        "status": status,
        "model": "scripted-1",
        "output": [{"type": "reasoning", "id": "rs_1", "summary": []}, *said, *asked],
        "error": None,
        "incomplete_details": None,
        "usage": {
            "input_tokens": 11,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 18,
        },
        **more,
    }
    return Reply(200, json.dumps(document).encode(), {"x-request-id": "req-1"})


def refuses(status: int = 400, **error: Any) -> Reply:
    """Return an error reply with the fields of the error object as given."""
    return Reply(status, json.dumps({"error": error}).encode(), {"x-request-id": "req-2"})


def fails(status: int, code: str = "some_code", **headers: str) -> Reply:
    error = {"message": f"the server says {status}", "type": "some_type", "code": code}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps({"error": error}).encode(), {"x-request-id": "req-2", **named})


class ScriptedModel:
    """Answers each request by the next reply of its script; the last one stays."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        # What was wrong with them.
        self.faults: list[str] = []
        # Set when a request has come, and when the client of a reply without an end has gone.
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.departures = 0
        self.script: list[Reply] = [says("An answer.")]
        # In place of the script: the reply by the request, for tests that repeat requests.
        self.respond: Callable[[Request], Reply] | None = None
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def will(self, *replies: Reply) -> None:
        self.script = list(replies)

    async def __aenter__(self) -> "ScriptedModel":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._server.close_clients()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (ln.partition(":") for ln in lines) if n}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
        method, path, _ = first.split(" ")
        self.requests.append(Request(method, path, headers, body))
        self.asked.set()
        if "messages" in body:
            self.faults += wire_problems(body)
        reply = self._reply(self.requests[-1])
        if reply.held is not None:
            await reply.held.wait()
        if reply.silent:
            await reader.read()  # until the client has had enough
            self._has_left()
            return False
        writer.write(_encoded(reply))
        await writer.drain()
        try:
            while reply.endless:
                writer.write(reply.endless)
                await writer.drain()
                await asyncio.sleep(reply.pause)
        except ConnectionError:
            self._has_left()
            return False
        return not reply.broken

    async def after_departures(self, count: int) -> None:
        """Wait until so many clients of replies without an end have gone."""
        while self.departures < count:
            self.left.clear()
            await self.left.wait()

    def _has_left(self) -> None:
        self.departures += 1
        self.left.set()

    def _reply(self, request: Request) -> Reply:
        if self.respond is not None:
            return self.respond(request)
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def _encoded(reply: Reply) -> bytes:
    if reply.broken:
        return b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"choices": [{"mess'
    fields = {"content-type": "application/json", **reply.headers}
    fields["content-length"] = str(len(reply.body) if not reply.endless else 10**12)
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {reply.status} Said\r\n{head}\r\n".encode() + reply.body
