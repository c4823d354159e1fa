"""Handoffs that do not come alone: one is followed, and nothing is lost or told twice."""

from dataclasses import replace
from typing import Any

import pytest

from durable_agents import Agent, RunLimits, ToolContext, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, in_turn, only_run, requests_of, told
from tests.durable_agents.scripted_model import Request, ScriptedModel, calls, says

ADD = ("1", "add", '{"a": 3, "b": 4}')
TO_BOB, TO_CAROL = ("2", "transfer_to_Bob", "{}"), ("3", "transfer_to_Carol", "{}")
SAID = "It is done, Bob tells you."


def cast_of(effects: Effects, *, fails: bool = False, **alice: Any) -> Agent:
    @tool
    def add(a: int, b: int, context: ToolContext) -> int:
        effects.add(f"{a} {b}", context)
        if fails:
            raise OverflowError
        return a + b

    @tool
    def sail() -> str:
        effects.add("sail")
        return "ahoy"

    bob = Agent(name="Bob", instructions="You are Bob.", tools=(sail,))
    carol = Agent(name="Carol", instructions="You are Carol.")
    return Agent(
        name="Alice", instructions="You are Alice.", tools=(add,), handoffs=(bob, carol), **alice
    )


def offered(request: Request) -> list[str]:
    return [one["function"]["name"] for one in request.body.get("tools", [])]


async def test_first_transfer_of_a_reply_is_followed_with_all_that_came_beside_it(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 23."""
    model.will(calls(ADD, TO_BOB, TO_CAROL, text=SAID), says("Seven, arr."))
    async with hosting(cast_of(effects)) as host:
        answer = await host.answered("Alice", "What is 3 and 4?")
        assert only_run(host).activities == ["Alice", "add", "Bob"]
    assert (answer["response"], answer["agent"]) == ("Seven, arr.", "Bob")
    assert effects.lines == ["3 4"]
    assert answer["notes"] == ["Alice -> Bob", "the transfer to Carol was not followed"]


async def test_request_of_the_next_agent_has_its_own_instructions_and_each_fact_once(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 23."""
    model.will(calls(ADD, TO_BOB, TO_CAROL, text=SAID), says("Seven, arr."))
    async with hosting(cast_of(effects)) as host:
        await host.answered("Alice", "What is 3 and 4?")
    request = model.requests[1]
    system, *others = request.body["messages"]
    assert system == {"role": "system", "content": "You are Bob."}
    whole = "\n".join(message["content"] for message in others)
    for part in ("What is 3 and 4?", SAID, "7"):
        assert whole.count(part) == 1
    assert "You are Alice." not in str(request.body)
    assert [message["role"] for message in others] == ["user"]
    assert offered(request) == ["sail"]
    assert "transfer" not in whole


async def test_transfer_to_a_name_that_is_not_allowed_is_told(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 23."""
    model.will(calls(("1", "transfer_to_Mallory", "{}")), says("Then I say it: 7."))
    async with hosting(cast_of(effects)) as host:
        answer = await host.answered("Alice")
    assert answer["agent"] == "Alice"
    assert "no tool named 'transfer_to_Mallory'" in told(model.requests[1])
    assert "transfer_to_Bob" in told(model.requests[1])


async def test_handoff_happens_though_the_tool_beside_it_fails_and_the_failure_is_seen(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 23."""
    model.will(calls(ADD, TO_BOB), says("It failed."))
    async with hosting(cast_of(effects, fails=True)) as host:
        answer = await host.answered("Alice")
    assert answer["agent"] == "Bob"
    assert "add (failed)" in model.requests[1].message
    assert "OverflowError" in model.requests[1].message


async def test_handoff_happens_though_the_call_beside_it_is_malformed(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 23."""
    model.will(calls(("1", "add", '{"a": '), TO_BOB, ("x", "no such", "{}")), says("Hm."))
    async with hosting(cast_of(effects)) as host:
        assert (await host.answered("Alice"))["agent"] == "Bob"
    assert "not valid JSON" in model.requests[1].message
    assert effects.lines == []


@pytest.mark.parametrize("arguments", ["", "null", '{"reason": "price"}', "[1]", '{"a'])
async def test_transfer_is_followed_whatever_its_arguments(
    hosting: Hosting, model: ScriptedModel, effects: Effects, arguments: str
) -> None:
    """Of the kind of case 23: a transfer takes no arguments, so none can be wrong."""
    model.will(calls(("2", "transfer_to_Bob", arguments)), says("Bob here."))
    async with hosting(cast_of(effects)) as host:
        assert (await host.answered("Alice"))["agent"] == "Bob"


async def test_same_ids_in_the_calls_of_both_agents_mix_nothing_up(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kinds of cases 05 and 23: each agent's server begins at call_0."""
    model.will(
        calls(("call_0", "add", '{"a": 3, "b": 4}'), ("call_1", "transfer_to_Bob", "{}")),
        calls(("call_0", "sail", "{}"), ("call_1", "sail", "{}")),
        says("Seven, arr."),
    )
    async with hosting(cast_of(effects)) as host:
        await host.answered("Alice")
    last = model.requests[2].body["messages"]
    assert [message["role"] for message in last] == ["system", "user", "assistant", "tool", "tool"]
    assert [message["content"] for message in last[3:]] == ["ahoy", "ahoy"]
    assert last[1]["content"].count("7") == 1


async def test_agent_that_gets_the_conversation_back_sees_its_own_calls_as_its_own(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 23: there and back again."""
    alice = Agent(name="Alice", instructions="You are Alice.", description="adds")
    bob = Agent(name="Bob", instructions="You are Bob.", handoffs=(alice,))
    first = Agent(name="Front", instructions="You are Front.", handoffs=(bob,))
    model.will(
        calls(("a", "transfer_to_Bob", "{}"), text="Over to Bob."),
        calls(("a", "transfer_to_Alice", "{}"), text="Over to Alice."),
        says("Alice here."),
    )
    async with hosting(first) as host:
        answer = await host.answered("Front", "Hello?")
    assert answer["notes"] == ["Front -> Bob -> Alice"]
    whole = model.requests[2].message
    assert [whole.count(part) for part in ("Hello?", "Over to Bob.", "Over to Alice.")] == [1] * 3
    assert [request["messages"][0]["content"] for request in requests_of(model)] == [
        "You are Front.",
        "You are Bob.",
        "You are Alice.",
    ]


async def test_transfers_in_a_circle_end_at_the_limit(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 23: the second transfer was lost, then a loop."""
    bob = Agent(name="Bob", instructions="You are Bob.", handoffs=("Alice",))
    alice = Agent(
        name="Alice",
        instructions="You are Alice.",
        handoffs=(bob,),
        limits=RunLimits(handoffs=3),
    )
    model.will(*[calls(("t", f"transfer_to_{to}", "{}")) for to in ("Bob", "Alice") * 9])
    async with hosting(alice) as host:
        problem = await host.problem("Alice")
    assert problem["code"] == "MaxTurnsExceeded"
    assert "3 transfers" in problem["cause"]
    assert len(model.requests) == 4


async def test_agent_that_gets_the_conversation_back_goes_on_with_its_own_words(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kinds of cases 05 and 23: there and back, with the same ids of calls everywhere."""
    alice = cast_of(effects)
    bob = Agent(name="Ben", instructions="You are Ben.", tools=alice.tools, handoffs=("Alice",))
    alice = replace(alice, handoffs=(bob,))
    adds = ("call_0", "add", '{"a": 3, "b": 4}')
    model.will(
        calls(adds, ("call_1", "transfer_to_Ben", "{}"), text="Over to Ben."),
        calls(adds, text="I add as well."),
        calls(("call_0", "transfer_to_Alice", "{}"), text="Back to Alice."),
        calls(adds),
        says("Seven."),
    )
    async with hosting(alice) as host:
        answer = await host.answered("Alice", "What is 3 and 4?")
    assert answer["notes"] == ["Alice -> Ben -> Alice"]
    last = model.requests[-1].body["messages"]
    assert [one["role"][0] for one in last] == [*"suattuat"]
    assert last[2]["content"] == "Over to Ben."
    assert [one["content"] for one in last if one["role"] == "tool"][::2] == ["7", "7"]
    whole = "\n".join(str(one["content"]) for one in last)
    for part in ("I add as well.", "Back to Alice.", "Ben used add: 7"):
        assert whole.count(part) == 1
    assert len(set(effects.keys)) == 3


async def test_next_message_of_a_session_begins_with_the_agent_that_was_asked(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 23: a session's conversation stays valid over a handoff."""
    model.will(calls(ADD, TO_BOB, text=SAID), says("Seven, arr."), says("Alice again."))
    async with hosting(cast_of(effects)) as host:
        await host.answered("Alice", "What is 3 and 4?", session_id="s")
        answer = await host.answered("Alice", "And now?", session_id="s")
    assert answer["agent"] == "Alice"
    whole = str(model.requests[2].body["messages"])
    for part in ("What is 3 and 4?", SAID, "Seven, arr.", "And now?"):
        assert whole.count(part) == 1


async def test_kill_after_any_step_changes_neither_answer_nor_effects(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 23."""
    bob_answers, alice_calls = says("Seven, arr."), in_turn(calls(ADD, TO_BOB, text=SAID))

    def respond(request: Request) -> Any:
        is_bob = request.body["messages"][0]["content"] == "You are Bob."
        return bob_answers if is_bob else alice_calls(request)

    model.respond = respond
    alice = cast_of(effects)
    async with hosting(alice) as host:
        await host.answered("Alice")
        steps = host.steps
    for step in range(1, steps):
        effects.file.unlink()
        async with hosting(alice, kill_after=step) as host:
            said = {"role": "user", "parts": [{"text": "Go."}]}
            run = await host.run("run-Alice", {"agent": "Alice", "messages": [said]})
        assert run.output["text"] == "Seven, arr."
        assert effects.distinct == ["3 4"]


async def test_agents_that_are_only_handed_to_have_no_routes_of_their_own(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """A fault of the published peer: inner agents were public."""
    async with hosting(cast_of(effects)) as host:
        listed = (await host.request("GET", "/api/agents")).json()["agents"]
        answer = await host.ask("Bob")
    assert [one["name"] for one in listed] == ["Alice"]
    assert (answer.status, answer.json()["code"]) == (404, "AgentNotRegistered")
    assert "Bob" not in answer.json()["detail"].partition("registered:")[2]
    assert model.requests == []
