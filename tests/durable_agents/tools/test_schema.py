"""What models are told of a tool's parameters, in plain and in strict form (case 09)."""

import json
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from durable_agents import InvalidAgent, json_schema
from durable_agents.messages import ToolRequest
from durable_agents.tools import ToolContext, tool
from tests.durable_agents.payments import Card, Colour, Payment, Transfer
from tests.durable_agents.tools.strict_server import refusals

PAID: list[Payment] = []


@tool
def pay(payment: Payment) -> str:
    """Pay something."""
    PAID.append(payment)
    return "paid"


@tool
def search(
    query: str,
    limit: Annotated[int, Field(description="how many")] = 10,
    colour: Colour = Colour.RED,
    since: date | None = None,
    place: str | None = "Oslo",
) -> str:
    """Find things.

    Args:
        query: What to look for,
            in words.
        limit: Not this.
        since (date, optional): The first day.

    Returns:
        What was found.
    """
    return f"{query} {limit} {colour.value} {since} {place}"


def properties(of: Any) -> dict[str, Any]:
    return of.spec.parameters["properties"]


@pytest.mark.parametrize("one", [pay, search], ids=lambda one: one.name)
def test_09_a_strict_server_takes_what_is_said_to_be_strict(one: Any) -> None:
    schema = one.spec.parameters
    text = json.dumps(schema)
    assert one.spec.strict == (refusals(schema) == [])
    if one.spec.strict:
        assert not any(f'"{word}":' in text for word in ("oneOf", "discriminator", "default"))


def test_09_the_tool_receives_an_object_of_its_class() -> None:
    given = {"method": {"kind": "transfer", "iban": "XX00"}, "colour": "red", "due": "2026-12-01"}
    read = pay.read(json.dumps({"payment": given}))
    assert read.problem == ""
    assert json.loads(read.arguments) == {"payment": given}


async def test_09_the_function_gets_it() -> None:
    PAID.clear()
    given = {"method": {"kind": "transfer", "iban": "XX00"}, "colour": "red", "due": None}
    arguments = pay.read(json.dumps({"payment": given})).arguments
    await pay.run(ToolRequest(call_id="c", arguments=arguments))
    assert [Payment(method=Transfer(kind="transfer", iban="XX00"), colour=Colour.RED)] == PAID


def test_09_an_unknown_kind_is_told_with_its_place_and_the_allowed_ones() -> None:
    wrong = {"method": {"kind": "cheque " * 500}, "colour": "red"}
    problem = pay.read(json.dumps({"payment": wrong})).problem
    assert "payment.method.kind" in problem
    assert "'card', 'transfer'" in problem
    assert "cheque" not in problem


def test_descriptions_come_from_the_annotation_or_from_the_docstring() -> None:
    assert search.spec.description == "Find things."
    told = {name: part.get("description", "") for name, part in properties(search).items()}
    assert told["query"] == "What to look for, in words."
    assert told["limit"] == "how many"
    assert told["since"] == "The first day."


def test_the_sphinx_and_the_numpy_form_are_read_and_a_plain_text_in_annotated() -> None:
    @tool
    def sphinx(a: int, b: int, c: Annotated[int, "the third"]) -> int:
        """Do it.

        Well
        enough.

        :param a: the first,
            as it is
        :param int b: the second
        :type a: int
        :returns: a number
        """
        return a + b + c

    @tool
    def numpy(a: int) -> int:
        """Do it.

        Parameters
        ----------
        a : int
            the first

        Returns
        -------
        int
        """
        return a

    told = [part["description"] for part in properties(sphinx).values()]
    assert told == ["the first, as it is", "the second", "the third"]
    assert sphinx.spec.description == "Do it.\n\nWell enough."
    assert properties(numpy)["a"]["description"] == "the first"
    assert numpy.spec.description == "Do it."


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "x 10 red None Oslo"),
        ({"limit": None, "colour": None}, "x 10 red None Oslo"),
        ({"since": None, "place": None}, "x 10 red None None"),
        (
            {"limit": 3, "colour": "blue", "since": "2026-12-01", "place": "-"},
            "x 3 blue 2026-12-01 -",
        ),
    ],
)
async def test_null_stands_for_a_default_unless_it_is_a_value(
    given: dict[str, Any], found: str
) -> None:
    arguments = search.read(json.dumps({"query": "x", **given})).arguments
    assert (await search.run(ToolRequest(call_id="c", arguments=arguments))).text == found


def test_in_strict_form_a_parameter_with_a_default_may_be_null() -> None:
    @tool
    def add(a: int, b: int = 2) -> int:
        return a + b

    assert add.spec.strict
    for given in ({"a": 1, "b": None}, {"a": 1, "b": 3}):
        assert json_schema.problems(given, add.spec.parameters) == []
        assert add.read(json.dumps(given)).problem == ""
    assert json_schema.problems({"a": 1}, add.spec.parameters)


def test_a_tool_without_parameters_has_an_object_with_properties() -> None:
    @tool
    def ping(context: ToolContext) -> str:
        return context.call_id

    assert ping.spec.parameters["type"] == "object"
    assert ping.spec.parameters["properties"] == {}
    assert refusals(dict(ping.spec.parameters)) == []


def test_what_has_no_strict_form_goes_out_as_it_is() -> None:
    @tool
    def f(counts: dict[str, int], limit: int = 3) -> str:
        return str(counts) + str(limit)

    assert not f.spec.strict
    assert f.spec.parameters["required"] == ["counts"]
    assert f.spec.parameters["properties"]["limit"]["default"] == 3


async def test_names_that_mean_something_to_pydantic_are_good_names_for_parameters() -> None:
    @tool
    def odd(copy: int, model_config: str, _x: int, schema: int = 1, json: str = "j") -> str:
        return f"{copy}{model_config}{_x}{schema}{json}"

    assert list(properties(odd)) == ["copy", "model_config", "_x", "schema", "json"]
    arguments = odd.read('{"copy": 1, "model_config": "m", "_x": 2}').arguments
    assert (await odd.run(ToolRequest(call_id="c", arguments=arguments))).text == "1m21j"


def test_fields_as_defaults_and_none_as_a_default_are_honoured() -> None:
    @tool
    def f(a: int = Field(3, ge=1, description="aa"), b: int = None) -> str:  # type: ignore[assignment]  # noqa: RUF013
        return f"{a} {b}"

    assert properties(f)["a"]["description"].startswith("aa")
    assert f.read("{}").arguments == '{"a": 3, "b": null}'
    assert "a: " in f.read('{"a": 0}').problem


class Page(BaseModel):
    size: int = 10
    after: str | None = "start"
    filters: list[Card] = []


def test_null_over_a_default_means_it_inside_of_objects_as_well() -> None:
    @tool
    def browse(page: Page, pages: list[Page] | None = None) -> str:
        return str(page) + str(pages)

    given = {"page": {"size": None, "after": None}, "pages": [{"size": "5"}, {"filters": None}]}
    assert json.loads(browse.read(json.dumps(given)).arguments) == {
        "page": {"size": 10, "after": None, "filters": []},
        "pages": [
            {"size": 5, "after": "start", "filters": []},
            {"size": 10, "after": "start", "filters": []},
        ],
    }
    assert (
        "payment.colour: is missing"
        in pay.read(
            json.dumps({"payment": {"method": {"kind": "card", "last4": "1"}, "colour": None}})
        ).problem
    )
    assert "filters.0.last4" in browse.read('{"page": {"filters": [{"kind": "card"}]}}').problem


class Node(BaseModel):
    name: str
    children: list["Node"] = []


def test_a_class_that_refers_to_itself_is_a_parameter_like_any_other() -> None:
    @tool
    def walk(root: Node) -> str:
        return root.name

    given = {"root": {"name": "a", "children": [{"name": "b", "children": []}]}}
    assert json.loads(walk.read(json.dumps(given)).arguments) == given


def no_type(a) -> str:  # type: ignore[no-untyped-def]
    return str(a)


def any_number(*a: int) -> str:
    return str(a)


def any_names(**a: int) -> str:
    return str(a)


def nameless(a: int, /) -> str:
    return str(a)


def a_callable(a: type[Exception] | object) -> str:
    return str(a)


def secret(a: SecretStr) -> str:
    return str(a)


def bad_default(a: int = "many") -> str:  # type: ignore[assignment]
    return str(a)


def unknown_name(a: "Missing") -> str:  # type: ignore[name-defined]  # noqa: F821
    return str(a)


class Unwritable:
    pass


def no_schema(a: Unwritable) -> str:
    return str(a)


@pytest.mark.parametrize(
    "function",
    [no_type, any_number, any_names, nameless, secret, bad_default, unknown_name, no_schema],
)
def test_a_function_that_cannot_be_a_tool_is_refused_at_once_with_tool_and_parameter(
    function: Any,
) -> None:
    with pytest.raises(InvalidAgent, match=f"tool '{function.__name__}'.*('a'|Missing)"):
        tool(function)


@pytest.mark.parametrize("name", ["", "1st", "a b", "a.b", "ä", "x" * 64, "_a"])
def test_a_name_that_servers_or_histories_do_not_take_is_refused(name: str) -> None:
    def f() -> str:
        return "x"

    with pytest.raises(InvalidAgent, match="a name starts with a letter"):
        tool(name=name or "é")(f)
    with pytest.raises(InvalidAgent):
        tool(activity=name or "é")(f)


@pytest.mark.parametrize(
    "rules",
    [
        {"approval": "sometimes"},
        {"retry": 0},
        {"retry": "often"},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": -1},
        {"on_error": "ignore"},
        {"max_result_bytes": 10},
    ],
    ids=str,
)
def test_rules_that_mean_nothing_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(InvalidAgent, match="tool 'f'"):
        tool(name="f", **rules)(lambda: "x")


def test_a_decimal_and_a_method_of_an_object_can_be_used() -> None:
    class Shop:
        def price(self, amount: Decimal) -> str:
            return f"{amount}"

    price = tool(Shop().price)
    assert price.name == "price"
    assert price.read('{"amount": "1.10"}').arguments == '{"amount": "1.10"}'
    assert price(Decimal("1.10")) == "1.10"
