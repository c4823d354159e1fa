"""Unions and described enums: in the form that strict servers take, and as objects at the end."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel

from durable_agents import Agent, AgentFunctionApp, OpenAIChatClient, tool
from durable_agents.testing import DurableTest
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, told
from tests.durable_agents.payments import Card, Colour, Payment, Transfer
from tests.durable_agents.scripted_model import ScriptedModel, calls, says

PAID = '{"method": {"kind": "transfer", "iban": "XX00"}, "colour": "red", "due": "2026-12-01"}'
CHEQUE = PAID.replace("transfer", "cheque")
REFUSED_KEYWORDS = {"oneOf", "discriminator", "default", "const"}


def keywords(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {word for one in schema for word in keywords(one)}
    if not isinstance(schema, dict):
        return set()
    found = set(schema)
    for name, value in schema.items():
        if name in ("properties", "$defs"):
            found |= {word for one in value.values() for word in keywords(one)}
        elif name not in ("enum", "required"):
            found |= keywords(value)
    return found


async def test_union_is_asked_for_in_the_keywords_of_strict_servers(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 09; what else a strict server refuses is checked by the model's server."""
    model.will(says(PAID))
    async with hosting(Agent(name="Ada", response_format=Payment)) as host:
        answer = await host.answered()
    assert answer["value"]["method"] == {"kind": "transfer", "iban": "XX00"}
    sent = model.requests[0].body["response_format"]["json_schema"]
    assert sent["strict"] is True
    assert not keywords(sent["schema"]) & REFUSED_KEYWORDS


async def test_value_has_its_classes_in_the_orchestrator_and_in_every_replay(
    chat_client: OpenAIChatClient, model: ScriptedModel
) -> None:
    """Case 09: each turn of the kit is a replay of all before."""
    ada = Agent(name="Ada", chat_client=chat_client)

    def make() -> AgentFunctionApp:
        app = AgentFunctionApp([ada])

        @app.orchestration_trigger(context_name="context")
        def pay(context: Any) -> Any:
            paid = (yield app.get_agent(context, "Ada").run("Pay.", response_format=Payment)).value
            yield context.wait_for_external_event("go")
            return [type(part).__name__ for part in (paid, paid.method, paid.colour, paid.due)]

        return app

    model.will(says(PAID))
    async with DurableTest(make) as host:
        run = await host.start("pay")
        host.kill()
        await host.raise_event(run, "go")
        assert run.output == ["Payment", "Transfer", "Colour", "date"]
        assert await host.replay() == []
    assert len(model.requests) == 1


async def test_wrong_branch_is_corrected_by_place_and_kinds_and_then_fails(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 09."""
    model.will(says(CHEQUE))
    async with hosting(Agent(name="Ada", response_format=Payment)) as host:
        problem = await host.problem()
    assert problem["code"] == "InvalidAgentOutput"
    assert len(model.requests) == 3
    for request in model.requests[1:]:
        assert all(part in request.message for part in ("method", "card", "transfer"))
        assert "cheque" not in request.message


async def test_tool_receives_the_objects_and_not_dicts(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 09."""

    @tool
    def pay(payment: Payment) -> str:
        parts = (payment, payment.method, payment.colour, payment.due)
        effects.add(" ".join(type(part).__name__ for part in parts))
        return "paid"

    model.will(calls(("c", "pay", f'{{"payment": {PAID}}}')), says("done"))
    async with hosting(Agent(name="Ada", tools=(pay,))) as host:
        await host.answered()
    assert effects.lines == ["Payment Transfer Colour date"]
    offered = model.requests[0].body["tools"][0]["function"]
    assert offered["strict"] is True
    assert not keywords(offered["parameters"]) & REFUSED_KEYWORDS


async def test_tool_that_is_given_a_wrong_branch_does_not_run(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 09."""

    @tool
    def pay(payment: Payment) -> str:
        effects.add("paid")
        return "paid"

    model.will(calls(("c", "pay", f'{{"payment": {CHEQUE}}}')), says("done"))
    async with hosting(Agent(name="Ada", tools=(pay,))) as host:
        await host.answered()
    words = told(model.requests[1])
    assert all(part in words for part in ("payment.method", "card", "transfer"))
    assert effects.lines == []


class Node(BaseModel):
    name: str
    children: list["Node"] = []


class Open(BaseModel):
    scores: dict[str, int]


class Wrapped[T](BaseModel):
    inner: T
    tag: Literal["a", 1, None] = None


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        (Node, '{"name": "a", "children": [{"name": "b", "children": []}]}'),
        (Open, '{"scores": {"x": 1}}'),
        (Wrapped[Card | Transfer], '{"inner": {"kind": "card", "last4": "1"}, "tag": 1}'),
        (Wrapped[list[Colour]], '{"inner": ["red"], "tag": null}'),
        (Wrapped[tuple[int, str]], '{"inner": [1, "a"], "tag": "a"}'),
    ],
)
async def test_any_class_is_asked_for_in_a_way_that_servers_take(
    hosting: Hosting, model: ScriptedModel, form: type[BaseModel], answer: str
) -> None:
    """Of the kind of case 09; that it is taken is checked by the model's server."""
    model.will(says(answer))
    async with hosting(Agent(name="Ada", response_format=form)) as host:
        await host.answered()
    assert len(model.requests) == 1
