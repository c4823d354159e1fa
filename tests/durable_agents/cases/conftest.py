"""What the cases share: a file of effects, and hosts for agents on the scripted model."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from durable_agents import Agent, OpenAIChatClient
from tests.durable_agents.cases.whole_run import Effects, Host, hosted

type Hosting = Callable[..., AbstractAsyncContextManager[Host]]


@pytest.fixture
def effects(tmp_path: Path) -> Effects:
    return Effects(tmp_path / "effects")


@pytest.fixture
def hosting(chat_client: OpenAIChatClient) -> Hosting:
    """Run agents on the scripted model: `async with hosting(agent) as host`."""

    def host(*agents: Agent, **kit: Any) -> AbstractAsyncContextManager[Host]:
        return hosted(*agents, client=chat_client, **kit)

    return host
