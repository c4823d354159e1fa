"""What a tool returns, and how it fails, as the model is told (case 07)."""

import asyncio
import dataclasses
import json
import logging
import sys
import threading
from collections import OrderedDict, deque, namedtuple
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from durabletask.payload import LargePayloadStorageOptions, PayloadStore
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from durable_agents import InvalidInput
from durable_agents.messages import Principal, ToolRequest, ToolResult
from durable_agents.tools import Tool, ToolContext, ToolError, tool, tool_activity

ID = UUID("12345678-1234-5678-1234-567812345678")
MOMENT = datetime(2026, 12, 1, 10, 30, tzinfo=UTC)


class Colour(Enum):
    RED = "red"


class Both(StrEnum):
    ONE = "one"


class Number(int):
    pass


@dataclasses.dataclass
class Point:
    x: int
    at: datetime


class All(BaseModel):
    at: datetime
    price: Decimal
    id: UUID
    colour: Colour
    tags: set[str]
    point: Point
    ratio: float


class OwnWords(BaseModel):
    def __str__(self) -> str:
        raise RuntimeError


Pair = namedtuple("Pair", "a b")


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def circular_object() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = [value]
    return value


class Holder(BaseModel):
    inner: Any = None


def circular_model() -> Holder:
    holder = Holder()
    holder.inner = holder
    return holder


def one_by_one() -> Iterator[int]:
    yield 1


GIVEN: list[Any] = []
CALLS: list[str] = []


@tool(retry=3)
def give() -> object:
    CALLS.append("give")
    return GIVEN[-1]


async def told(value: object, of: Tool = give) -> ToolResult:
    GIVEN.append(value)
    CALLS.clear()
    result = await of.run(ToolRequest(call_id="c1"))
    assert CALLS == ["give"]
    result.text.encode()
    assert result.text.strip()
    return result


PLAIN: list[tuple[object, str]] = [
    (MOMENT, "2026-12-01T10:30:00+00:00"),
    (date(2026, 12, 1), "2026-12-01"),
    (time(9, 5), "09:05:00"),
    (timedelta(hours=1), "PT1H"),
    (Decimal("1.10"), "1.10"),
    (ID, str(ID)),
    (Colour.RED, "red"),
    (Both.ONE, "one"),
    (Number(7), "7"),
    (True, "true"),
    (5, "5"),
    (1.5, "1.5"),
    ("a text", "a text"),
    ('{"a": 1}', '{"a": 1}'),
    (Path("/tmp/x"), "/tmp/x"),
    ({3, 1, 2}, "[1, 2, 3]"),
    ({"b", "a", 1}, '["a", "b", 1]'),
    (frozenset({(2, 1), (1, 2)}), "[[1, 2], [2, 1]]"),
    (Pair(1, 2), "[1, 2]"),
    (deque([1]), "[1]"),
    (range(3), "[0, 1, 2]"),
    (OrderedDict(b=1, a=2), '{"b": 1, "a": 2}'),
    (OrderedDict(b=1).keys(), '["b"]'),
    (Point(1, MOMENT), '{"x": 1, "at": "2026-12-01T10:30:00+00:00"}'),
    ({1: "a"}, '{"1": "a"}'),
    ({("x", 1): 2}, '{"[\\"x\\", 1]": 2}'),
    ({None: 1, True: 2, Colour.RED: 3, 1.5: 4}, '{"null": 1, "true": 2, "red": 3, "1.5": 4}'),
    ({1: "a", "1": "b"}, '[[1, "a"], ["1", "b"]]'),
    (float("nan"), '"NaN"'),
    ({"x": float("nan"), "y": float("-inf")}, '{"x": "NaN", "y": "-Infinity"}'),
    (Decimal("NaN"), "NaN"),
    (b"\xff\x00", "2 bytes in base64: /wA="),
    (bytearray(b"a"), "1 bytes in base64: YQ=="),
    ([b"a"], '["1 bytes in base64: YQ=="]'),
    ("\ud83d\ude00 \ud83d", "😀 \ufffd"),
    ({"\ud83d": "\ude00"}, '{"\ufffd": "\ufffd"}'),
    (OwnWords(), "{}"),
    ([], "[]"),
    ({}, "{}"),
]


@pytest.mark.parametrize(
    ("value", "text"),
    PLAIN,
    ids=[f"{type(value).__name__}-{number}" for number, (value, _) in enumerate(PLAIN)],
)
async def test_07_a_result_is_told_in_its_plain_form(value: object, text: str) -> None:
    if isinstance(value, Decimal) and value.is_nan():
        text = "NaN"
    result = await told(value)
    assert result == ToolResult(call_id="c1", name="give", text=text)


async def test_07_an_object_with_all_of_them_is_json() -> None:
    value = All(
        at=MOMENT,
        price=Decimal("1.10"),
        id=ID,
        colour=Colour.RED,
        tags={"b", "a"},
        point=Point(1, MOMENT),
        ratio=float("nan"),
    )
    assert json.loads((await told(value)).text) == {
        "at": "2026-12-01T10:30:00+00:00",
        "price": "1.10",
        "id": str(ID),
        "colour": "red",
        "tags": ["a", "b"],
        "point": {"x": 1, "at": "2026-12-01T10:30:00+00:00"},
        "ratio": "NaN",
    }


@pytest.mark.parametrize("value", [None, "", "  \n"])
async def test_07_no_result_is_a_text_that_says_so(value: object) -> None:
    result = await told(value)
    assert "result" in result.text
    assert not result.is_error


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (object(), "object"),
        ([{"a": object()}], "object"),
        (deep(1000), "list"),
        (deep(100_000), "list"),
        (circular(), "list"),
        (circular_object(), "dict"),
        (circular_model(), "Holder"),
        (one_by_one(), "generator"),
        (print, "builtin_function_or_method"),
        (Colour, "EnumType"),
        (Holder, "ModelMetaclass"),
        (ValueError("secret"), "ValueError"),
        (10**5000, "int"),
        (threading.Lock(), "lock"),
    ],
    ids=lambda one: type(one).__name__,
)
async def test_07_what_has_no_form_is_told_once_with_tool_and_type(
    value: object, kind: str
) -> None:
    result = await told(value)
    assert result.is_error
    assert not result.retriable  # the tool has done its work
    assert "give" in result.text
    assert f"type {kind} " in result.text
    assert "secret" not in result.text


@pytest.mark.parametrize("character", ["ä", "a\u0301", "😀", "x", "👩\u200d🚀"])
async def test_07_a_large_result_is_cut_between_characters_with_its_whole_size(
    character: str,
) -> None:
    size = len(character.encode())
    count = 1_200_000 // size
    result = await told(character * count)
    kept, _, note = result.text.rpartition("\n")
    assert len(result.text.encode()) <= 64 * 1024
    assert len(result.text.encode()) > 63 * 1024
    assert kept == character * (len(kept) // len(character))
    assert f"{size * count:,} bytes" in note
    assert not result.is_error


class Shelf(PayloadStore):
    """A payload store in memory, which may be broken."""

    def __init__(self, *, broken: bool = False) -> None:
        self.kept: dict[str, bytes] = {}
        self._broken = broken

    @property
    def options(self) -> LargePayloadStorageOptions:
        return LargePayloadStorageOptions()

    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        if self._broken:
            raise ConnectionError("AccountKey=hunter2")
        token = f"shelf:{instance_id}:{len(self.kept)}"
        self.kept[token] = data
        return token

    async def upload_async(self, data: bytes, *, instance_id: str | None = None) -> str:
        return self.upload(data, instance_id=instance_id)

    def download(self, token: str) -> bytes:
        return self.kept[token]

    async def download_async(self, token: str) -> bytes:
        return self.kept[token]

    def is_known_token(self, value: str) -> bool:
        return value in self.kept


async def test_07_with_a_payload_store_the_note_says_where_all_of_it_is() -> None:
    shelf = Shelf()
    activity = tool_activity(give, shelf)
    for value in ("ä" * 600_000, "small"):
        GIVEN.append(value)
        result = await activity({"call_id": "c1", "instance": "i-1"})
        assert len(result.text.encode()) <= 64 * 1024
    assert list(shelf.kept) == ["shelf:i-1:0"]
    assert shelf.kept["shelf:i-1:0"].decode() == "ä" * 600_000
    GIVEN.append("ä" * 600_000)
    assert "kept as shelf:i-1:1]" in (await give.run(request_of("i-1"), shelf)).text


async def test_07_a_store_that_fails_does_not_fail_the_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    GIVEN.append("x" * 100_000)
    result = await give.run(request_of("i-1"), Shelf(broken=True))
    assert not result.is_error
    assert "100,000 bytes" in result.text
    assert "ConnectionError" in caplog.text
    assert "hunter2" not in caplog.text


def request_of(instance: str) -> ToolRequest:
    return ToolRequest(call_id="c1", instance=instance)


async def test_07_the_limit_is_the_tools() -> None:
    @tool(max_result_bytes=2000)
    def small() -> list[str]:
        CALLS.append("give")
        return ["ä" * 5000]

    assert len((await told(None, small)).text.encode()) <= 2000


@settings(max_examples=80, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.binary()
        | st.datetimes()
        | st.decimals()
        | st.complex_numbers(),
        lambda one: st.lists(one) | st.dictionaries(st.text() | st.integers(), one),
    )
)
async def test_any_value_is_told_as_sound(value: object) -> None:
    result = await told(value)
    if not result.is_error and isinstance(value, list | dict):
        json.loads(result.text, parse_constant=pytest.fail)


@tool
def fail(kind: str, context: ToolContext) -> str:
    """Fail."""
    if kind == "told":
        raise ToolError("no such account \ud83d", retriable=context.attempt < 2)
    if kind == "silent":
        raise ToolError("")
    if kind == "exit":
        sys.exit(1)
    if kind == "stop":
        raise StopIteration
    if kind == "cancel":
        raise asyncio.CancelledError
    raise ValueError(kind)


async def failed(kind: str, **request: Any) -> ToolResult:
    arguments = json.dumps({"kind": kind})
    return await fail.run(ToolRequest(call_id="c1", arguments=arguments, **request))


async def test_the_words_of_a_tool_error_are_told_and_whether_it_may_pass() -> None:
    first, second = await failed("told"), await failed("told", attempt=2)
    assert first.text == "no such account \ufffd"
    assert (first.is_error, first.retriable) == (True, True)
    assert not second.retriable
    assert (await failed("silent")).text.strip()


@pytest.mark.parametrize(("kind", "name"), [("hunter2", "ValueError"), ("exit", "SystemExit")])
async def test_any_other_failure_is_told_by_its_type_alone(
    kind: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        result = await failed(kind, instance="i-1")
    assert result.text == f"the tool fail failed ({name})"
    assert (result.is_error, result.retriable) == (True, True)
    assert "hunter2" not in caplog.text
    assert "i-1: tool 'fail' failed in attempt 1" in caplog.text


async def test_a_stop_iteration_is_a_failure_like_any_other() -> None:
    assert (await failed("stop")).is_error


async def test_a_cancellation_passes() -> None:
    with pytest.raises(asyncio.CancelledError):
        await failed("cancel")


async def test_async_functions_run_on_the_loop_and_others_in_a_thread() -> None:
    @tool
    async def on_loop() -> bool:
        return threading.current_thread() is threading.main_thread()

    @tool
    def in_thread() -> bool:
        return threading.current_thread() is threading.main_thread()

    @tool
    def hidden() -> Any:
        return on_loop()

    class Called:
        async def __call__(self) -> bool:
            return threading.current_thread() is threading.main_thread()

    tools = [on_loop, in_thread, hidden, tool(name="called")(Called())]
    results = [(await one.run(ToolRequest(call_id="c"))).text for one in tools]
    assert results == ["true", "false", "true", "true"]


async def test_functions_that_hang_keep_no_other_tool_from_its_result() -> None:
    opened = threading.Event()

    @tool
    def wait() -> bool:
        return opened.wait(30)

    @tool
    async def quick() -> list[int]:
        return [1]

    hanging = [asyncio.create_task(wait.run(ToolRequest(call_id="c"))) for _ in range(50)]
    try:
        assert (await asyncio.wait_for(quick.run(ToolRequest(call_id="c")), 20)).text == "[1]"
    finally:
        opened.set()
    assert {(await one).text for one in hanging} == {"true"}


async def test_a_function_in_a_thread_has_the_context_variables_of_the_call() -> None:
    trace = ContextVar("trace", default="none")

    @tool
    def f() -> str:
        return trace.get()

    trace.set("t-1")
    assert (await f.run(ToolRequest(call_id="c"))).text == "t-1"


async def test_the_call_reaches_the_function_as_its_context() -> None:
    contexts: list[ToolContext] = []

    @tool
    def f(a: int, context: ToolContext | None = None) -> int:
        assert context is not None
        contexts.append(context)
        return a

    request = ToolRequest(
        call_id="c1",
        arguments='{"a": 1}',
        agent="Ada",
        instance="i-1",
        idempotency_key="i-1:4",
        attempt=2,
        session="s",
        principal=Principal(id="p1", name="Pat"),
    )
    assert (await f.run(request)).text == "1"
    assert f.read('{"a": 1, "context": {}}').problem
    assert contexts == [
        ToolContext(
            instance_id="i-1",
            call_id="c1",
            idempotency_key="i-1:4",
            attempt=2,
            agent="Ada",
            session_id="s",
            principal=Principal(id="p1", name="Pat"),
        )
    ]


async def test_the_activity_is_named_like_the_tool_and_takes_plain_data() -> None:
    activity = tool_activity(tool(name="Mail", activity="send_mail")(lambda: "sent"))
    assert activity.__name__ == "send_mail"
    result = await activity(ToolRequest(call_id="c1").model_dump(mode="json"))
    assert result == ToolResult(call_id="c1", name="Mail", text="sent")
    with pytest.raises(InvalidInput, match="call_id"):
        await activity({"arguments": "hunter2"})
