"""Fields of requests that a model does not take: none is sent that nobody asked for."""

from typing import Any

import pytest
from pydantic import BaseModel

from durable_agents import Agent, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.scripted_model import Reply, Request, ScriptedModel, calls, refuses, says

REFUSED = {
    *("temperature", "top_p", "stop", "max_tokens", "parallel_tool_calls", "stream_options"),
    *("presence_penalty", "frequency_penalty", "logprobs", "n", "user", "store", "seed"),
}


class Answer(BaseModel):
    n: int


@tool
def look(item: str, most: int = 3) -> int:
    """Look for an item."""
    return 7


class Picky:
    """Answers by the next reply, but refuses a request that has one of the fields in it."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)

    def __call__(self, request: Request) -> Reply:
        for name in sorted(REFUSED & set(request.body)):
            return refuses(
                code="unsupported_parameter",
                param=name,
                message=f"Unsupported parameter: '{name}' is not supported with this model.",
            )
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


async def test_agent_with_tools_session_and_form_sends_no_field_that_nobody_asked_for(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 35 (a)."""
    model.respond = Picky(calls(("c", "look", '{"item": "x"}')), says('{"n": 7}'))
    ada = Agent(name="Ada", instructions="Look.", tools=(look,), response_format=Answer)
    async with hosting(ada) as host:
        answer = await host.answered(session_id="s")
    assert answer["value"] == {"n": 7}
    allowed = {"model", "messages", "tools", "response_format"}
    assert all(set(request.body) <= allowed for request in model.requests)


async def test_refused_option_is_asked_once_and_named_with_agent_and_model(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 35 (b)."""
    model.respond = Picky(says("never"))
    async with hosting(Agent(name="Ada", options={"temperature": 0})) as host:
        problem = await host.problem()
    assert len(model.requests) == 1
    assert problem["code"] == "ModelRejected"
    assert "temperature" in problem["cause"]
    assert (problem["agent"], problem["model"]) == ("Ada", "small")


@pytest.mark.parametrize("where", ["agent", "call"])
async def test_options_arrive_unchanged(hosting: Hosting, model: ScriptedModel, where: str) -> None:
    """Case 35 (c)."""
    options: dict[str, Any] = {"max_completion_tokens": 500, "reasoning_effort": "low"}
    model.respond = Picky(says("fine"))
    ada = Agent(name="Ada", options=options if where == "agent" else {})
    async with hosting(ada) as host:
        await host.answered(options={} if where == "agent" else options)
    body = model.requests[0].body
    assert {name: body[name] for name in options} == options
    assert type(body["max_completion_tokens"]) is int


async def test_options_of_a_call_are_not_given_to_the_agent_that_is_handed_to(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Of the kind of case 35 (d): options belong to the agent, and so to the model, asked."""
    bob = Agent(name="Bob", options={"reasoning_effort": "low"})
    ada = Agent(name="Ada", handoffs=(bob,), options={"top_k": 1})
    model.will(calls(("h", "transfer_to_Bob", "{}")), says("Bob here."))
    async with hosting(ada) as host:
        await host.answered(options={"top_k": 2, "verbosity": "low"})
    first, second = (request.body for request in model.requests)
    assert (first["top_k"], first["verbosity"]) == (2, "low")
    assert "top_k" not in second
    assert "verbosity" not in second
    assert second["reasoning_effort"] == "low"


@pytest.mark.parametrize("name", ["model", "messages", "stream", "n", "tools", "response_format"])
async def test_fields_of_the_library_are_no_options_over_http_either(
    hosting: Hosting, model: ScriptedModel, name: str
) -> None:
    """Of the kind of case 35: a caller may not choose model, conversation or tools by options."""
    async with hosting(Agent(name="Ada")) as host:
        answer = await host.ask(options={name: "x"})
        assert host.runs == []
    assert (answer.status, answer.json()["code"]) == (400, "InvalidInput")
    assert name in answer.json()["detail"]
    assert model.requests == []


async def test_tools_can_be_disabled_for_a_call(hosting: Hosting, model: ScriptedModel) -> None:
    """A fault of the published peer: disabling tools had no effect."""
    model.will(says("By heart."))
    async with hosting(Agent(name="Ada", tools=(look,))) as host:
        await host.answered(options={"tool_choice": "none"})
    assert model.requests[0].body["tool_choice"] == "none"


async def test_call_that_comes_though_tools_are_disabled_is_not_made(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """A fault of the published peer: a server that ignores `tool_choice` may still call."""
    made: list[str] = []

    @tool
    def charge() -> str:
        made.append("charge")
        return "charged"

    model.will(calls(("c", "charge", "{}")), says("By heart."))
    async with hosting(Agent(name="Ada", tools=(charge,))) as host:
        assert (await host.answered(options={"tool_choice": "none"}))["response"] == "By heart."
    assert made == []
    assert "disabled" in model.requests[1].message
    assert model.requests[1].body["tool_choice"] == "none"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "look"}}])
async def test_choice_that_forces_a_call_counts_for_the_first_request_only(
    hosting: Hosting, model: ScriptedModel, choice: Any
) -> None:
    """Kept for the whole loop, it would never let the model answer."""
    model.will(calls(("c", "look", '{"item": "x"}')), says("done"))
    async with hosting(Agent(name="Ada", tools=(look,), options={"tool_choice": choice})) as host:
        await host.answered()
    assert model.requests[0].body["tool_choice"] == choice
    assert "tool_choice" not in model.requests[1].body
