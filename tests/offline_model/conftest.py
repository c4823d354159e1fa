"""Fixtures: the offline model on a free port, with settings of the test's choice."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from local_runtime.offline_model.server import serve
from local_runtime.offline_model.settings import ModelSettings


@asynccontextmanager
async def running_model(environ):
    stop = asyncio.Event()
    listening = asyncio.get_running_loop().create_future()
    settings = ModelSettings.from_environment(environ, 0)
    serving = asyncio.create_task(serve(settings, ready=listening.set_result, stop=stop))
    port = (await listening)["port"]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        stop.set()
        await serving


@pytest.fixture
async def start_model():
    """Starts the offline model with these settings; an HTTP client of it."""
    async with AsyncExitStack() as stack:

        async def start(**environ: str) -> httpx.AsyncClient:
            return await stack.enter_async_context(running_model(environ))

        yield start


@pytest.fixture
async def model(start_model) -> httpx.AsyncClient:
    return await start_model()


@pytest.fixture
def ask():
    """Sends one request and returns the response."""

    async def ask(
        client: httpx.AsyncClient, text: str = "Hello", instructions: str = "Help.", **fields
    ) -> httpx.Response:
        messages = [
            {"role": "system", "content": instructions},
            {"role": "user", "content": text},
        ]
        body = {"model": "any", "messages": messages, **fields}
        return await client.post("/v1/chat/completions", json=body)

    return ask


@pytest.fixture
def content_of():
    return lambda response: response.json()["choices"][0]["message"]["content"]
