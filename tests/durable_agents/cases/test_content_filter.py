"""A filtered prompt: refused once, with its category, and gone from what the session tells."""

import logging
from typing import Any

import pytest

from durable_agents import Agent, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects
from tests.durable_agents.scripted_model import Reply, Request, ScriptedModel, calls, refuses, says

FILTERED: dict[str, Any] = {
    "code": "content_filter",
    "param": "prompt",
    "status": 400,
    "message": "The prompt was filtered: forbidden",
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {
            "violence": {"filtered": True, "severity": "medium"},
            "hate": {"filtered": False, "severity": "safe"},
        },
    },
}


class Filter:
    """Refuses any conversation that has the word `forbidden` in it, and answers all others."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)

    def __call__(self, request: Request) -> Reply:
        if "forbidden" in str(request.body["messages"]):
            return refuses(**FILTERED)
        return self._replies.pop(0)


def texts(request: Request) -> list[str]:
    return [message["content"] for message in request.body["messages"]]


async def test_message_after_a_filtered_one_is_answered_as_if_it_had_not_been(
    hosting: Hosting, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """Case 33."""
    caplog.set_level(logging.DEBUG)
    model.respond = Filter(says("hello"), says("fine"))
    async with hosting(Agent(name="Ada")) as host:
        await host.answered(message="hi", session_id="s")
        problem = await host.problem(message="forbidden", session_id="s")
        third = await host.answered(message="and now?", session_id="s")
    assert problem["code"] == "ModelRejected"
    assert "content filter" in problem["cause"]
    assert "violence" in problem["cause"]
    assert "hate" not in problem["cause"]
    assert third["response"] == "fine"
    assert len(model.requests) == 3
    assert texts(model.requests[2]) == ["hi", "hello", "and now?"]
    assert "forbidden" not in problem["cause"]
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("durable_agents")]
    assert ours
    assert "forbidden" not in "".join(ours)


async def test_result_of_a_tool_that_is_filtered_is_gone_and_the_tool_is_not_run_again(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 33, second session."""

    @tool
    def read_mail() -> str:
        effects.add("read_mail")
        return "forbidden words"

    model.respond = Filter(says("hello"), calls(("c", "read_mail", "{}")), says("fine"))
    async with hosting(Agent(name="Ada", tools=(read_mail,))) as host:
        await host.answered(message="hi", session_id="s")
        problem = await host.problem(message="read my mail", session_id="s")
        third = await host.answered(message="and now?", session_id="s")
    assert problem["code"] == "ModelRejected"
    assert third["response"] == "fine"
    assert effects.lines == ["read_mail"]
    assert texts(model.requests[3]) == ["hi", "hello", "and now?"]
    assert len(model.requests) == 4


async def test_answer_that_the_filter_stopped_is_a_failure_and_not_an_empty_text(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Of the kind of case 33: the filter's word is the finish reason."""
    model.will(says("Half an answ", finish="content_filter"), says("fine"))
    async with hosting(Agent(name="Ada")) as host:
        problem = await host.problem(message="hi", session_id="s")
        assert (await host.answered(message="and now?", session_id="s"))["response"] == "fine"
    assert (problem["code"], problem["status"]) == ("ModelRejected", 502)
    assert "content filter" in problem["cause"]
    assert problem["usage"]["total_tokens"] == 18
    assert texts(model.requests[1]) == ["and now?"]


async def test_words_of_a_handoff_speak_of_no_roles_and_override_no_instructions(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 33: the library's own words must not look like an attempt to break out."""
    bob = Agent(name="Bob", instructions="You are Bob.", description="knows prices")
    ada = Agent(name="Ada", instructions="You are Ada.", handoffs=(bob,))
    model.will(calls(("h", "transfer_to_Bob", "{}"), text="One moment."), says("7"))
    async with hosting(ada) as host:
        await host.answered(message="What is the price?")
    sent = "".join(str(request.body).lower() for request in model.requests)
    for word in ("ignore", "override", "pretend", "you are now", "act as", "role of", "jailbreak"):
        assert word not in sent
