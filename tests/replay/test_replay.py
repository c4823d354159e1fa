"""Every history that the runtime ever wrote is replayed by today's code to the same end."""

from typing import Any

import pytest
from pydantic import BaseModel

from durable_agents import AgentFunctionApp, OpenAIChatClient
from tests.replay.flows import City, create_app
from tests.replay.replaying import HISTORIES, Turn, functions_of, recorded, replay

NAMES = sorted(path.stem for path in HISTORIES.glob("*.json"))


@pytest.fixture(autouse=True)
def strict_typing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "1")


def app(model: str = "small", **changed: Any) -> AgentFunctionApp:
    """The app; its model cannot be reached, so that nothing is asked again."""
    return create_app(OpenAIChatClient(model, base_url="http://127.0.0.1:9/v1"), **changed)


async def differences(app: AgentFunctionApp, turns: list[Turn]) -> list[Any]:
    functions = functions_of(app)
    done = [(turn.deeds, await replay(functions, turn)) for turn in turns]
    return [(then, now) for then, now in done if then != now]


@pytest.mark.parametrize("name", NAMES)
async def test_history_is_replayed_turn_by_turn_to_what_was_done_then(name: str) -> None:
    assert await differences(app(), recorded(name)) == []
