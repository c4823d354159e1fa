"""How an HTTP server of the runtime stops while requests are still under way."""

import asyncio
import logging

import httpx
import pytest

from local_runtime.http_server.server import listen, serving


@pytest.fixture
def slow_application():
    """An application that says when a request has come, and then takes for ever."""
    came = asyncio.Event()

    async def application(scope, receive, send) -> None:
        came.set()
        await asyncio.Event().wait()

    application.came = came
    return application


async def ask(port: int) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.get(f"http://127.0.0.1:{port}/")


async def test_a_request_still_running_after_the_grace_is_answered_503(slow_application) -> None:
    async with serving(slow_application, listen(0, "--port"), grace_seconds=0) as port:
        reply = asyncio.create_task(ask(port))
        await slow_application.came.wait()
    assert (await reply).status_code == 503


async def test_a_request_broken_off_by_the_stop_is_not_logged_as_an_error(
    slow_application, caplog
) -> None:
    async with serving(slow_application, listen(0, "--port"), grace_seconds=0) as port:
        reply = asyncio.create_task(ask(port))
        await slow_application.came.wait()
    await reply
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_request_nobody_waits_for_any_more_is_broken_off_without_an_error(
    slow_application, caplog
) -> None:
    async with serving(slow_application, listen(0, "--port"), grace_seconds=0) as port:
        reply = asyncio.create_task(ask(port))
        await slow_application.came.wait()
        reply.cancel()
        await asyncio.wait([reply])
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
