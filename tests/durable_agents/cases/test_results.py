"""Results that cannot be written, or are too large: the effect is once, and the model is told."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from durable_agents import Agent, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, told
from tests.durable_agents.scripted_model import ScriptedModel, calls, says

MOMENT = datetime(2026, 12, 1, 10, 30, tzinfo=UTC)
ID = UUID("12345678-1234-5678-1234-567812345678")


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    at: datetime


class Everything(BaseModel):
    at: datetime
    price: Decimal
    id: UUID
    colour: Colour
    tags: set[str]
    point: Point


def deep() -> Any:
    value: Any = "end"
    for _ in range(1000):
        value = [value]
    return value


def circular() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


POINT = {"x": 1, "at": "2026-12-01T10:30:00+00:00"}
EVERYTHING = {
    "at": "2026-12-01T10:30:00+00:00",
    "price": "1.10",
    "id": str(ID),
    "colour": "red",
    "tags": ["a", "b"],
    "point": POINT,
}
KINDS: dict[str, Callable[[], Any]] = {
    "datetime": lambda: MOMENT,
    "decimal": lambda: Decimal("1.10"),
    "uuid": lambda: ID,
    "enum": lambda: Colour.RED,
    "set": lambda: {"b", "a"},
    "dataclass": lambda: Point(1, MOMENT),
    "pydantic": lambda: Everything(
        at=MOMENT,
        price=Decimal("1.10"),
        id=ID,
        colour=Colour.RED,
        tags={"b", "a"},
        point=Point(1, MOMENT),
    ),
    "int keys": lambda: {1: "a"},
    "tuple keys": lambda: {("x", 1): 2},
    "nan": lambda: float("nan"),
    "bytes": lambda: b"\xff\x00",
    "none": lambda: None,
    "empty": lambda: "",
    "object": object,
    "deep": deep,
    "circular": circular,
    "large": lambda: "ä" * 600_000,
    "half a pair": lambda: "\ud83d",
    "generator": lambda: (n for n in range(3)),
    "raises in its dump": lambda: Broken(),
}


class Broken(BaseModel):
    def model_dump(self, **_: Any) -> Any:  # type: ignore[override]
        raise KeyError("secret connection string")


@pytest.fixture
def ada(effects: Effects) -> Agent:
    @tool(retry=3)
    def give(kind: str) -> Any:
        effects.add(kind)
        return KINDS[kind]()

    return Agent(name="Ada", tools=(give,))


async def told_of(hosting: Hosting, ada: Agent, model: ScriptedModel, kind: str) -> str:
    """Let the tool return a value of a kind; return what the model is told."""
    model.will(calls(("c1", "give", json.dumps({"kind": kind}))), says("done"))
    async with hosting(ada) as host:
        assert (await host.answered())["response"] == "done"
    assert len(model.requests) == 2
    return told(model.requests[1])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("datetime", "2026-12-01T10:30:00+00:00"),
        ("decimal", "1.10"),
        ("uuid", str(ID)),
        ("enum", "red"),
    ],
)
async def test_value_without_a_json_form_is_told_by_its_text(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects, kind: str, value: str
) -> None:
    """Case 07."""
    assert (await told_of(hosting, ada, model, kind)).strip('"') == value
    assert effects.lines == [kind]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("set", ["a", "b"]),
        ("dataclass", POINT),
        ("pydantic", EVERYTHING),
        ("int keys", {"1": "a"}),
    ],
)
async def test_object_is_told_as_json(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects, kind: str, value: object
) -> None:
    """Case 07."""
    assert json.loads(await told_of(hosting, ada, model, kind)) == value
    assert effects.lines == [kind]


async def test_keys_that_are_tuples_are_told(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 07."""
    words = await told_of(hosting, ada, model, "tuple keys")
    assert all(part in words for part in ("x", "1", "2"))
    json.loads(words)
    assert effects.lines == ["tuple keys"]


async def test_nan_is_never_told_bare(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 07."""
    words = await told_of(hosting, ada, model, "nan")
    assert words == '"NaN"'
    assert effects.lines == ["nan"]


async def test_bytes_are_told_as_base64_with_a_note(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 07."""
    words = await told_of(hosting, ada, model, "bytes")
    assert base64.b64encode(b"\xff\x00").decode() in words
    assert "base64" in words
    assert effects.lines == ["bytes"]


@pytest.mark.parametrize("kind", ["none", "empty"])
async def test_nothing_is_told_as_a_text_that_says_so(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects, kind: str
) -> None:
    """Case 07."""
    words = await told_of(hosting, ada, model, kind)
    assert "no result" in words or "empty" in words
    assert effects.lines == [kind]


@pytest.mark.parametrize(
    ("kind", "type_name"),
    [
        ("object", "object"),
        ("deep", "list"),
        ("circular", "list"),
        ("generator", "generator"),
        ("raises in its dump", "Broken"),
    ],
)
async def test_value_that_cannot_be_written_is_told_with_tool_and_type_and_never_again(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects, kind: str, type_name: str
) -> None:
    """Case 07."""
    words = await told_of(hosting, ada, model, kind)
    assert "give" in words
    assert type_name in words
    assert "secret" not in words
    assert effects.lines == [kind]


async def test_large_result_is_cut_between_characters_and_says_its_size(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 07."""
    words = await told_of(hosting, ada, model, "large")
    assert len(words.encode()) <= 64 * 1024
    assert words.startswith("ääää")
    assert "1200000" in words.replace(",", "").replace("_", "").replace(" ", "")
    assert effects.lines == ["large"]


async def test_ten_large_results_in_one_reply_leave_a_session_under_its_limit(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Case 07."""
    asked = [(f"c{n}", "give", '{"kind": "large"}') for n in range(10)]
    model.will(calls(*asked), says("done"))
    async with hosting(ada) as host:
        await host.answered(session_id="s")
        stored = json.dumps(host.entity("dafx-Ada", "s"))
    assert len(stored) < 900_000
    assert effects.lines == ["large"] * 10


async def test_half_of_a_surrogate_pair_is_told_as_a_sign_that_can_be_sent(
    hosting: Hosting, ada: Agent, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 07; that it can be sent is checked by the model's server."""
    assert await told_of(hosting, ada, model, "half a pair")
    assert effects.lines == ["half a pair"]
