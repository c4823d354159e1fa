"""Fixtures for pytest, with pytest-asyncio. Only who asks for this module needs either.

In a `conftest.py`: `pytest_plugins = ["durable_agents.testing.fixtures"]`.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from durable_agents.testing.harness import DurableTest
from durable_agents.testing.running_app import App

type MakesHosts = Callable[..., Awaitable[DurableTest]]


@pytest_asyncio.fixture
async def durable_test(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[MakesHosts]:
    """Give a function that opens hosts, with the arguments of `DurableTest`.

    At the end of the test each host is closed, and its scripted models are verified.
    """
    # As in a deployed app: the SDK's codec reads only types that were asked for.
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "1")
    async with AsyncExitStack() as open_hosts:

        async def make(app: App, **options: Any) -> DurableTest:
            return await open_hosts.enter_async_context(DurableTest(app, **options))

        yield make
