"""Every history that the runtime ever wrote is replayed by today's code to the same end."""

from datetime import timedelta
from typing import Any

import pytest
from durabletask.task import RetryPolicy
from pydantic import BaseModel, Field

from durable_agents import AgentFunctionApp, OpenAIChatClient
from tests.replay.flows import create_app
from tests.replay.replaying import HISTORIES, Turn, functions_of, recorded, replay

NAMES = sorted(path.stem for path in HISTORIES.glob("*.json"))
# Calls of before the rules were recorded with them go by the rules of today.
WITH_RULES = [name for name in NAMES if not name.endswith("@1")]
MUST_FAIL = sorted(f"must_fail/{path.stem}" for path in HISTORIES.glob("must_fail/*.json"))


class Grown(BaseModel):
    name: str
    people: int = Field(ge=1)
    country: str


class GrownWithDefault(BaseModel):
    name: str
    people: int = Field(ge=1)
    country: str = "unknown"


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


@pytest.mark.parametrize("name", MUST_FAIL)
async def test_history_of_other_code_is_found_out(name: str) -> None:
    found = await differences(app(), recorded(name))
    assert found
    kinds = {now[-1][3] for _, now in found if now[-1][0] == "end"}
    assert kinds == {"NonDeterminismError"}


@pytest.mark.parametrize("name", WITH_RULES)
@pytest.mark.parametrize("attempts", [1, 9])
async def test_call_goes_by_the_rules_it_was_made_under(
    name: str, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_RETRY_FIRST_INTERVAL_SECONDS", "77")
    retry = RetryPolicy(first_retry_interval=timedelta(seconds=3), max_number_of_attempts=attempts)
    changed = app("another", retry=retry, corrections=attempts - 1, instructions="Now otherwise.")
    assert await differences(changed, recorded(name)) == []


async def test_wait_that_is_decided_again_is_as_long_as_the_rules_of_the_call_said() -> None:
    retry = RetryPolicy(first_retry_interval=timedelta(hours=3), max_number_of_attempts=2)
    failed = recorded("retried@2")[1]
    (wait,) = await replay(functions_of(app(retry=retry)), failed, with_times=True)
    assert wait == ("timer", 2, timedelta(seconds=0.25))


async def test_accepted_answer_is_not_asked_for_again_when_the_class_has_grown() -> None:
    (*_, event_turn, _) = recorded("structured@2")
    (end,) = await replay(functions_of(app(city=Grown)), event_turn)
    assert end[:2] == ("end", "ORCHESTRATION_STATUS_FAILED")
    assert end[3] == "CodeChanged"
    for part in ("'Ada'", "live instance", "test_replay.Grown", "country: Field required"):
        assert part in end[4]
    assert "Paris" not in end[4]


async def test_field_with_a_default_is_filled_in() -> None:
    assert await differences(app(city=GrownWithDefault), recorded("structured@2")) == []
