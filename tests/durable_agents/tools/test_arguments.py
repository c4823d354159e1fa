"""What a model writes as arguments, and what the tool gets of it (cases 01 and 21)."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field

from durable_agents.messages import ToolRequest, ToolResult
from durable_agents.tools import Tool, ToolError, fingerprint, tool

CALLS: list[tuple[Any, ...]] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


@tool
def now() -> str:
    """Tell the time."""
    CALLS.append(())
    return "noon"


@tool
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    CALLS.append((a, b))
    return a + b


@tool
def note(text: str) -> str:
    """Keep a text."""
    CALLS.append((text,))
    return "kept"


async def call(of: Tool, arguments: str) -> ToolResult:
    """Do as a run does: read the words of the model, then run what they come to."""
    read = of.read(arguments)
    if read.problem:
        return ToolResult(call_id="c1", name=of.name, text=read.problem, is_error=True)
    return await of.run(ToolRequest(call_id="c1", arguments=read.arguments))


@pytest.mark.parametrize("arguments", ["", "  ", "\n", "null", " null ", "{}", '"{}"', "\ufeff{}"])
async def test_01_blank_or_null_arguments_are_no_arguments(arguments: str) -> None:
    assert (await call(now, arguments)).text == "noon"
    assert CALLS == [()]


@pytest.mark.parametrize(
    ("arguments", "got"),
    [
        ('{"a": "5"}', (5, 2)),
        ('{"a": 5, "b": null}', (5, 2)),
        ('{"a": 5.0, "b": "-3"}', (5, -3)),
        ('{"a": 1, "a": 5}', (5, 2)),
        ('"{\\"a\\": 5}"', (5, 2)),
        ('\n {"a" : 5 }\n', (5, 2)),
    ],
)
async def test_01_numbers_as_texts_and_nulls_over_defaults_are_taken(
    arguments: str, got: tuple[int, int]
) -> None:
    assert (await call(add, arguments)).text == str(sum(got))
    assert [got] == CALLS


@pytest.mark.parametrize("text", ["one\ntwo", "a\tb", "\x01", "end\r\n", "nul \x00"])
async def test_01_raw_control_characters_in_a_text_reach_the_tool(text: str) -> None:
    await call(note, f'{{"text": "{text}"}}')
    assert [(text,)] == CALLS


@pytest.mark.parametrize(
    "arguments",
    ['{"a": 5', '{"a": 5}}', '{"a": 5} and so on', "{'a': 5}", '{"a": NaN}', '{"a": 1e999}', "{a}"],
)
async def test_01_broken_json_is_told_with_its_place(arguments: str) -> None:
    result = await call(add, arguments)
    assert "not valid JSON" in result.text
    assert "NaN" in arguments or "999" in arguments or "line 1, column" in result.text
    # A wrong explanation makes the model repeat the mistake.
    assert not any(word in result.text for word in ("cut", "truncated", "length", "incomplete"))
    assert CALLS == []


@pytest.mark.parametrize("arguments", ["[5]", "5", '"x"', "true", "1.5", '["{}"]', '"[5]"'])
async def test_01_what_is_no_object_is_told(arguments: str) -> None:
    result = await call(add, arguments)
    assert "must be a JSON object" in result.text
    assert CALLS == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"a": "five"}', ["a: ", "integer"]),
        ('{"a": null}', ["a: ", "integer"]),
        ('{"a": 1.5}', ["a: ", "integer"]),
        ('{"a": [1]}', ["a: ", "integer"]),
        ('{"a": true}', ["a: ", "number"]),
        ('{"b": 1}', ["a: is missing", "integer"]),
        ("", ["a: is missing", "integer"]),
        ('{"a": 1, "zz": 2}', ["zz: there is no such parameter", "a (an integer)", "b (an"]),
        ('{"p0": 1}', ["a: is missing", "p0: there is no such"]),
    ],
)
async def test_01_a_wrong_argument_is_told_by_name_with_what_it_should_be(
    arguments: str, words: list[str]
) -> None:
    result = await call(add, arguments)
    assert all(word in result.text for word in words), result.text
    assert CALLS == []


def test_values_and_names_of_the_model_are_hardly_repeated() -> None:
    long = "secret " * 5000
    for arguments in (
        json.dumps({"a": long}),
        json.dumps({"a": 1, long: 2}),
        json.dumps({"a": 1, **{f"{long}{n}": 2 for n in range(50)}}),
        long,
        '{"a": ' + "[" * 100_000,
        '{"a": ' + "9" * 10_000 + "}",
    ):
        assert 0 < len(add.read(arguments).problem) < 2000


def test_halves_of_surrogate_pairs_are_made_valid() -> None:
    read = note.read('{"text": "\\ud83d and \ud83d\ude00 and \ude00"}')
    assert json.loads(read.arguments) == {"text": "\ufffd and 😀 and \ufffd"}


class Card(BaseModel):
    last4: str
    due: date | None = None


@tool
def pay(cards: list[Card], amounts: dict[str, Decimal] | None = None) -> str:
    """Pay."""
    CALLS.append((cards, amounts))
    return "paid"


async def test_arrays_and_objects_that_are_written_as_texts_are_unwrapped() -> None:
    await call(pay, json.dumps({"cards": '[{"last4": "1", "due": "2026-12-01"}]'}))
    await call(pay, json.dumps({"cards": [], "amounts": '{"x": "1.10"}'}))
    assert [([Card(last4="1", due=date(2026, 12, 1))], None), ([], {"x": Decimal("1.10")})] == CALLS


async def test_a_text_that_looks_like_json_stays_a_text() -> None:
    await call(note, json.dumps({"text": '{"a": 1}'}))
    assert CALLS == [('{"a": 1}',)]


def clean(arguments: dict[str, Any]) -> Mapping[str, Any]:
    if arguments["to"].strip() == "mallory":
        raise ToolError("mallory gets nothing")
    amount = min(arguments["amount"], Decimal(50))
    return {**arguments, "to": arguments["to"].strip(), "amount": amount}


@tool(approval="always", validate=clean)
def transfer(to: str, amount: Annotated[Decimal, Field(gt=0)], note: str = "-") -> str:
    """Send money."""
    CALLS.append((to, amount, note))
    return "sent"


async def test_21_the_effective_arguments_are_what_would_run() -> None:
    read = transfer.read('{"to": " bob ", "amount": "100.00"}')
    assert read.arguments == '{"to": "bob", "amount": "50", "note": "-"}'
    assert (await call(transfer, '{"to": " bob ", "amount": "100.00"}')).text == "sent"
    assert [("bob", Decimal(50), "-")] == CALLS


def test_21_words_of_a_check_are_told_and_nobody_is_asked() -> None:
    assert transfer.read('{"to": "mallory", "amount": 1}').problem == "mallory gets nothing"
    assert "amount" in transfer.read('{"to": "bob", "amount": "-1"}').problem


def test_21_a_predicate_gets_the_effective_arguments_as_values() -> None:
    @tool(approval=lambda a: a["amount"] > 40, validate=clean)
    def wire(to: str, amount: Decimal) -> str:
        return to

    def asks(amount: str) -> bool:
        return wire.needs_approval(wire.read(json.dumps({"to": "x", "amount": amount})).arguments)

    assert [asks("40"), asks("40.01"), asks("1000")] == [False, True, True]


@pytest.mark.parametrize("arguments", ["{}", "nonsense", '{"amount": "x"}'])
def test_a_predicate_that_cannot_say_means_that_a_person_is_asked(arguments: str) -> None:
    @tool(approval=lambda a: a["nothing"])
    def wire(amount: Decimal = Decimal(1)) -> str:
        return str(amount)

    assert wire.needs_approval(arguments)


def test_21_changes_of_a_person_run_as_they_were_written_or_not_at_all() -> None:
    arguments = transfer.read('{"to": "bob", "amount": "9"}').arguments
    edited = transfer.edit(arguments, {"amount": "30"})
    assert edited.arguments == '{"to": "bob", "amount": "30", "note": "-"}'
    assert transfer.edit(arguments, {"amount": 30, "note": "rent"}).problem == ""
    refused: list[tuple[dict[str, Any], str]] = [
        ({"amount": "-1"}, "amount"),
        ({"amount": "100"}, 'would run as "50"'),
        ({"amount": "many"}, "amount"),
        ({"zz": 1}, "zz"),
        ({"to": 5}, "to"),
        ({"to": "mallory"}, "nothing"),
        ({"amount": object()}, "no JSON"),
        ({"amount": float("nan")}, "no JSON"),
    ]
    for changes, words in refused:
        read = transfer.edit(arguments, changes)
        assert words in read.problem, changes
        assert read.arguments == "{}"


def test_21_a_cap_in_the_annotation_does_not_change_what_a_person_wrote() -> None:
    @tool
    def wire(amount: Annotated[Decimal, AfterValidator(lambda v: min(v, Decimal(50)))]) -> str:
        return str(amount)

    assert wire.read('{"amount": 100}').arguments == '{"amount": "50"}'
    assert "would run as" in wire.edit('{"amount": "50"}', {"amount": "60"}).problem


def test_checks_may_change_in_place_follow_each_other_and_fail() -> None:
    def double(arguments: dict[str, Any]) -> None:
        arguments["a"] = min(arguments["a"] * 2, 8)

    def refuse(arguments: dict[str, Any]) -> None:
        if arguments["a"] > 7:
            raise KeyError("connection string")

    @tool(validate=[double, refuse])
    def f(a: int) -> int:
        return a

    assert f.read('{"a": 3}').arguments == '{"a": 6}'
    assert f.read('{"a": 4}').problem == "the arguments cannot be checked (KeyError)"


def test_a_type_that_changes_a_value_each_time_is_found_before_anything_is_approved() -> None:
    @tool
    def f(a: Annotated[str, AfterValidator(lambda text: text + "!")]) -> str:
        return a

    assert "change the arguments every time" in f.read('{"a": "x"}').problem


async def test_what_was_not_approved_does_not_run() -> None:
    approved = add.read('{"a": 1}').arguments
    mark = fingerprint("add", approved)
    assert fingerprint("add", '{"b":2,"a":1}') == mark
    assert mark not in (fingerprint("add", '{"a": 1}'), fingerprint("sub", approved))
    for arguments in ('{"a": 1, "b": 3}', '{"a": 1}', "{}", "nonsense"):
        result = await add.run(ToolRequest(call_id="c", arguments=arguments, fingerprint=mark))
        assert result.is_error
        assert not result.retriable
        assert "not approved" in result.text
    assert CALLS == []
    ran = await add.run(ToolRequest(call_id="c", arguments=approved, fingerprint=mark))
    assert ran.text == "3"


async def test_a_default_that_came_after_the_approval_was_not_approved() -> None:
    arguments = '{"a": 1}'
    mark = fingerprint("add", arguments)
    result = await add.run(ToolRequest(call_id="c", arguments=arguments, fingerprint=mark))
    assert "its parameters have changed since" in result.text
    assert CALLS == []


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@tool
def mixed(a: int, b: str = "-", c: list[float] | None = None, d: bool | None = True) -> str:
    """Take a mixture."""
    CALLS.append((a, b, c, d))
    return "x"


@settings(max_examples=200, deadline=None)
@given(
    st.text()
    | st.text(alphabet='{}[]":,ab01 \\n\ud83d')
    | ANY_JSON.map(json.dumps)
    | st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e"]), ANY_JSON).map(json.dumps)
    | st.fixed_dictionaries(
        {"a": st.integers()}, optional={"b": st.text(), "c": st.lists(st.floats()), "d": ANY_JSON}
    ).map(json.dumps)
)
async def test_reading_never_raises_and_what_is_read_is_what_the_function_gets(text: str) -> None:
    CALLS.clear()
    read = mixed.read(text)
    if read.problem:
        assert read.arguments == "{}"
        read.problem.encode()
        return
    read.arguments.encode()
    assert mixed.read(read.arguments) == read
    request = ToolRequest(
        call_id="c", arguments=read.arguments, fingerprint=fingerprint("mixed", read.arguments)
    )
    assert (await mixed.run(request)).text == "x"
    assert [tuple(json.loads(read.arguments).values())] == CALLS
