"""Parameters of many types: what is read, approved and run is one and the same."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from durable_agents.messages import ToolRequest
from durable_agents.tools import fingerprint, tool
from tests.durable_agents.tools.strict_server import refusals


class Colour(Enum):
    RED = "red"


class Card(BaseModel):
    kind: Literal["card"]
    last4: str = Field(alias="lastFour")


class Transfer(BaseModel):
    kind: Literal["transfer"]
    iban: str


@dataclass
class Group:
    size: int
    tags: set[str]


class Options(TypedDict, total=False):
    limit: int


class Point(NamedTuple):
    x: int
    y: int


Id = NewType("Id", int)
type Ids = list[Id]

CARD = {"kind": "card", "lastFour": "1234"}
TYPES: list[tuple[Any, Any, Any]] = [
    (Annotated[Card | Transfer, Field(discriminator="kind")], CARD, CARD),
    (Card | Transfer, CARD, CARD),
    (list[Card], [CARD], [CARD]),
    (Literal["a", "b"], "a", "a"),
    (list[Colour], ["red"], ["red"]),
    (tuple[int, str], [1, "a"], [1, "a"]),
    (bytes, "abc", "abc"),
    (date, "2026-12-01", "2026-12-01"),
    (datetime, "2026-12-01T10:00:00+00:00", "2026-12-01T10:00:00Z"),
    (timedelta, 90, "PT1M30S"),
    (UUID, str(UUID(int=1)), str(UUID(int=1))),
    (Path, "/x", "/x"),
    (Decimal, 0.1, "0.1"),
    (float, "1.5", 1.5),
    (bool, "true", True),
    (int | str, "5", "5"),
    (int | None, None, None),
    (Ids, ["1"], [1]),
    (Any, {"a": [None]}, {"a": [None]}),
    (dict[int, str], {"1": "a"}, {"1": "a"}),
    (Options, {"limit": "3"}, {"limit": 3}),
    (Point, [1, 2], [1, 2]),
    # Sets have no order, and another process another one: what is approved has one.
    (set[str], ["c", "b", "a"], ["a", "b", "c"]),
    (Group, {"size": 1, "tags": ["z", "x", "y"]}, {"size": 1, "tags": ["x", "y", "z"]}),
    (dict[str, list[frozenset[int]]], {"a": [[3, 1, 2]]}, {"a": [[1, 2, 3]]}),
]


def taking(annotation: Any, got: list[Any]) -> Callable[[Any], str]:
    def take(value: Any) -> str:
        got.append(value)
        return "taken"

    take.__annotations__["value"] = annotation
    return take


@pytest.mark.parametrize(
    ("annotation", "given", "effective"), TYPES, ids=lambda one: f"{one!s:.40}"
)
async def test_a_type_is_described_read_and_run_as_it_was_approved(
    annotation: Any, given: Any, effective: Any
) -> None:
    got: list[Any] = []
    take = tool(taking(annotation, got))
    read = take.read(json.dumps({"value": given}))
    assert read.problem == ""
    assert json.loads(read.arguments) == {"value": effective}
    assert take.read(read.arguments) == read
    mark = fingerprint("take", read.arguments)
    request = ToolRequest(call_id="c", arguments=read.arguments, fingerprint=mark)
    assert (await take.run(request)).text == "taken"
    assert len(got) == 1
    if take.spec.strict:
        assert refusals(dict(take.spec.parameters)) == []
    assert take.spec.parameters["type"] == "object"
    assert "properties" in take.spec.parameters
