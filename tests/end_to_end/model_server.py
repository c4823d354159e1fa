"""A model server on a free port whose answers a test decides request by request."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

type Answer = Callable[[str, str], Awaitable[str | Response]]
"""From the instructions and the message of a request to the reply's text, or a whole response."""


def completion(text: str, model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1767225600,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": usage,
    }


@contextlib.asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[dict[str, str]]:
    """Serve a model; gives the settings that point an app at it."""

    async def complete(request: Request) -> Response:
        body: dict[str, Any] = json.loads(await request.body())
        system, *_, user = (message["content"] for message in body["messages"])
        reply = await answer(system, user)
        if isinstance(reply, Response):
            return reply
        return JSONResponse(completion(reply, body["model"]))

    app = Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield {
                "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
                "OPENAI_API_KEY": "test",
                "OPENAI_MODEL": "test-model",
                "AGENT_RETRY_FIRST_INTERVAL_SECONDS": "0.1",
            }
        finally:
            server.should_exit = True
            server.force_exit = True
            await running
