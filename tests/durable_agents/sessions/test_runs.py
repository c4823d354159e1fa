"""Runs of agents with sessions, from the request to the stored conversation, in virtual time."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from durable_agents import Agent, AgentFunctionApp, OpenAIChatClient
from durable_agents.messages import CallPolicy, Message, RunLimits, RunRequest
from durable_agents.sessions import SessionPolicy, exported, from_document
from durable_agents.testing import DurableTest, Run
from tests.durable_agents.scripted_model import ScriptedModel, calls, refuses, says

EFFECTS: list[str] = []


def slow(what: str = "") -> str:
    """Do something."""
    EFFECTS.append(what)
    return f"did {what}"


class Host(DurableTest):
    """A host with agent `Ada`, whose sessions are `s`, and what her model is told."""

    model: ScriptedModel

    async def say(self, text: str, turn: str, *, wait: bool = True, **fields: Any) -> Run:
        given = {"agent": "Ada", "session": "s", "messages": (Message.of("user", text),)}
        request = RunRequest(**(given | {"policy": CallPolicy()} | fields))
        data = request.model_dump(mode="json", exclude_defaults=True)
        begun = await self.start("run-Ada", data, instance_id=turn)
        return await self.result(begun) if wait else begun

    def told(self, number: int = -1) -> list[tuple[str, str]]:
        """The messages of a request to the model, without the instructions."""
        messages = self.model.requests[number].body["messages"]
        return [(m["role"], m.get("content") or "") for m in messages if m["role"] != "system"]

    def texts(self, number: int = -1) -> list[str]:
        return [text for _, text in self.told(number)]

    @property
    def session(self) -> dict[str, Any]:
        return exported(from_document(self.entity("dafx-Ada", "s")))


@pytest.fixture
def policy() -> SessionPolicy:
    return SessionPolicy()


@pytest.fixture
async def host(
    model: ScriptedModel, chat_client: OpenAIChatClient, policy: SessionPolicy
) -> AsyncIterator[Host]:
    EFFECTS.clear()
    ada = Agent(name="Ada", instructions="You are Ada.", tools=[slow], sessions=policy)
    async with Host(AgentFunctionApp([ada], chat_client=chat_client)) as kit:
        kit.model = model
        yield kit


async def test_a_turn_is_told_what_was_said_before(host: Host) -> None:
    host.model.will(says("hello"), calls(("a", "slow", '{"what": "it"}')), says("done"), says("ok"))
    await host.say("hi", "1")
    await host.say("do it", "2")
    third = await host.say("thanks", "3")
    assert third.output["text"] == "ok"
    said = ["hi", "hello", "do it", "", "did it", "done", "thanks"]
    assert host.texts() == said
    assert [turn["status"] for turn in host.session["turns"]] == ["completed"] * 3


async def test_no_history_stores_the_conversation_again(host: Host) -> None:
    host.model.will(says("a" * 5000))
    for number in range(4):
        last = await host.say("q" * 5000, str(number))
    stored = sum(event.ByteSize() for event in last.history)
    assert stored < 30_000


@pytest.mark.parametrize("case", ["timeout", "turns", "terminated", "rejected", "cancelled"])
async def test_a_broken_turn_leaves_a_session_that_can_be_used(host: Host, case: str) -> None:
    """Case 15 (b)-(e)."""
    asked = calls(("a", "slow", "{}"))
    host.model.will(says("hello"), asked, refuses(code="some_code", message="no"))
    await host.say("hi", "1")
    fields: dict[str, Any] = {}
    if case == "timeout":
        deadline = (host.now + timedelta(seconds=5)).isoformat()
        fields = {"deadline": deadline, "timeout": 5}
    if case == "turns":
        fields = {"limits": RunLimits(turns=1)}
    if case != "rejected":
        host.hold("slow")
    broken = await host.say("break", "2", wait=False, **fields)
    if case == "turns":
        await host.release("slow")
    if case == "terminated":
        await host.terminate(broken)
    if case == "cancelled":
        await host.raise_event(broken, "cancel", "enough")
    broken = await host.result(broken)
    assert broken.status == ("Terminated" if case == "terminated" else "Failed")
    await host.release("slow")
    host.model.will(says("fine"))
    assert (await host.say("and now?", "3")).output["text"] == "fine"
    assert host.texts() == ["hi", "hello", "and now?"]
    shown = host.session["turns"][1]
    assert shown["broken"]
    asked_for = [call["id"] for m in shown["messages"] for call in m.get("calls", [])]
    assert asked_for == [m["call_id"] for m in shown["messages"] if "call_id" in m]


@pytest.mark.parametrize("step", range(1, 16))
async def test_a_killed_host_repeats_nothing_and_the_session_is_whole(
    model: ScriptedModel, chat_client: OpenAIChatClient, step: int
) -> None:
    """Case 15 (a), (f)."""
    EFFECTS.clear()
    ada = Agent(name="Ada", instructions="You are Ada.", tools=[slow])
    app = AgentFunctionApp([ada], chat_client=chat_client)
    async with Host(app, kill_after=step) as host:
        host.model = model
        model.will(calls(("a", "slow", '{"what": "it"}')), says("done"), says("ok"))
        first = await host.say("do it", "1")
        assert first.output["text"] == "done"
        await host.say("thanks", "2")
        assert host.texts() == ["do it", "", "did it", "done", "thanks"]
        assert set(EFFECTS) == {"it"}


@pytest.mark.parametrize("step", range(1, 30))
async def test_a_killed_host_loses_nobody_who_waits(
    model: ScriptedModel, chat_client: OpenAIChatClient, step: int
) -> None:
    ada = Agent(name="Ada", instructions="You are Ada.")
    app = AgentFunctionApp([ada], chat_client=chat_client)
    async with Host(app, kill_after=step) as host:
        host.model = model
        host.takes("Ada", 3)
        kinds = {"one": "reject", "two": "queue", "three": "steer", "four": "queue"}
        runs = [await host.say(t, t, wait=False, on_busy=kind) for t, kind in kinds.items()]
        ended = [await host.result(run) for run in runs]
        assert [run.output["text"] for run in ended] == ["An answer."] * 4
        turns = host.session["turns"]
        said = [m["text"] for turn in turns for m in turn["messages"] if m["role"] == "user"]
        assert said == ["one", "three", "two", "four"]
        assert [turn["status"] for turn in turns] == ["completed"] * 3


async def test_a_run_at_its_limit_answers_and_what_it_did_not_read_gets_a_turn(host: Host) -> None:
    host.model.will(says("red"), says("blue"))
    host.takes("Ada", 5)
    first = await host.say("paint it", "1", wait=False, limits=RunLimits(turns=1))
    second = await host.say("in blue", "2", wait=False, on_busy="steer")
    assert (await host.result(first)).output["text"] == "red"
    assert (await host.result(second)).output["text"] == "blue"
    assert host.texts() == ["paint it", "red", "in blue"]


async def test_what_a_run_hands_to_its_session_is_not_too_large_to_be_sent(
    model: ScriptedModel, chat_client: OpenAIChatClient
) -> None:
    """Case 07."""

    def much() -> str:
        """Return much."""
        return "ä" * 1_200_000

    ada = Agent(name="Ada", tools=[much])
    async with Host(AgentFunctionApp([ada], chat_client=chat_client)) as host:
        host.model = model
        model.will(calls(*((f"c{n}", "much", "{}") for n in range(10))), says("done"))
        ended = await host.say("go", "1")
        assert ended.output["text"] == "done"
        assert len(json.dumps(host.entity("dafx-Ada", "s"))) < 900_000
        sent = [event.entityOperationCalled.input.value for event in ended.history]
        assert max(map(len, sent)) < 600_000


async def test_a_transfer_is_kept_in_the_session_and_each_agent_sees_its_own_part(
    model: ScriptedModel, chat_client: OpenAIChatClient
) -> None:
    bob = Agent(name="Bob", instructions="You are Bob.")
    ada = Agent(name="Ada", instructions="You are Ada.", tools=[slow], handoffs=[bob])
    async with Host(AgentFunctionApp([ada], chat_client=chat_client)) as host:
        host.model = model
        model.will(says("x"))
        await host.say("hi", "0")
        tools = model.requests[-1].body["tools"]
        transfer = next(t["function"]["name"] for t in tools if "slow" not in str(t))
        model.will(
            calls(("a", "slow", '{"what": "it"}'), ("b", transfer, "{}"), text="Bob tells you."),
            says("Seven, arr."),
            says("fine"),
        )
        assert (await host.say("what?", "1")).output["text"] == "Seven, arr."
        assert (await host.say("thanks", "2")).output["text"] == "fine"
        told = host.told()
        assert model.requests[-1].body["messages"][0]["content"] == "You are Ada."
        for text in ("what?", "Bob tells you.", "did it", "Seven, arr.", "thanks"):
            assert sum(said.count(text) for _, said in told) == 1
        assert told[-1][0] == "user"
        assert [turn["status"] for turn in host.session["turns"]] == ["completed"] * 3


async def test_a_busy_session_rejects(host: Host) -> None:
    host.hold("Ada")
    first = await host.say("hi", "1", wait=False)
    second = await host.say("me too", "2")
    assert second.status == "Failed"
    assert "SessionBusy" in str(second.failure)
    await host.release("Ada")
    assert (await host.result(first)).status == "Completed"
    assert [turn["id"] for turn in host.session["turns"]] == ["1"]


async def test_a_line_is_served_in_the_order_of_arrival(host: Host) -> None:
    host.hold("Ada")
    texts = ["one", "two", "three", "four"]
    runs = [await host.say(text, text, wait=False, on_busy="queue") for text in texts]
    await host.release("Ada")
    for run in runs:
        assert (await host.result(run)).status == "Completed"
    assert host.texts() == ["one", "An answer.", "two", "An answer.", "three", "An answer.", "four"]
    assert all(run.elapsed < timedelta(seconds=10) for run in runs)


async def test_an_interrupt_ends_the_turn_and_goes_first(host: Host) -> None:
    host.hold("Ada")
    first = await host.say("one", "1", wait=False)
    waiting = await host.say("two", "2", wait=False, on_busy="queue")
    urgent = await host.say("stop that", "3", wait=False, on_busy="interrupt")
    await host.release("Ada")
    assert (await host.result(first)).status == "Failed"
    assert "AgentCancelled" in str(first.failure)
    assert (await host.result(urgent)).output["text"] == "An answer."
    await host.result(waiting)
    assert host.texts() == ["stop that", "An answer.", "two"]
    assert [turn["id"] for turn in host.session["turns"]] == ["1", "3", "2"]


async def test_an_interrupt_ends_the_turn_it_finds_also_when_that_has_interrupted(
    host: Host,
) -> None:
    host.takes("Ada", 100)
    first = await host.say("one", "1", wait=False)
    second = await host.say("two", "2", wait=False, on_busy="interrupt")
    third = await host.say("three", "3", wait=False, on_busy="interrupt")
    runs = [await host.result(run) for run in (first, second, third)]
    assert [run.status for run in runs] == ["Failed", "Failed", "Completed"]


async def test_an_interrupt_ends_none_of_those_before_it_in_line(host: Host) -> None:
    host.takes("Ada", 100)
    first = await host.say("one", "1", wait=False)
    await host.suspend(first)
    second = await host.say("two", "2", wait=False, on_busy="interrupt")
    third = await host.say("three", "3", wait=False, on_busy="interrupt")
    await host.resume(first)
    runs = [await host.result(run) for run in (first, second, third)]
    assert [run.status for run in runs] == ["Failed", "Completed", "Completed"]
    assert host.texts() == ["two", "An answer.", "three"]


async def test_a_steering_message_is_in_the_next_request_and_all_later_ones_once(
    host: Host,
) -> None:
    host.model.will(calls(("a", "slow", '{"what": "red"}')), says("blue it is"), says("ok"))
    host.hold("slow")
    first = await host.say("paint it", "1", wait=False)
    second = await host.say("in blue", "2", wait=False, on_busy="steer")
    await host.release("slow")
    assert (await host.result(first)).output["text"] == "blue it is"
    steered = await host.result(second)
    assert steered.output["text"] == "blue it is"
    assert host.texts(1) == ["paint it", "", "did red", "in blue"]
    await host.say("thanks", "3")
    assert host.texts() == ["paint it", "", "did red", "in blue", "blue it is", "thanks"]
    assert len(host.model.requests) == 3


async def test_a_message_that_comes_with_the_last_answer_is_answered_by_the_same_turn(
    host: Host,
) -> None:
    host.model.will(says("red"), says("blue"), says("ok"))
    host.hold("Ada")
    host.takes("Ada", 5)
    first = await host.say("paint it", "1", wait=False)
    await host.release("Ada")
    second = await host.say("in blue", "2", wait=False, on_busy="steer")
    assert (await host.result(first)).output["text"] == "blue"
    assert (await host.result(second)).output["text"] == "blue"
    await host.say("thanks", "3")
    assert host.texts() == ["paint it", "red", "in blue", "blue", "thanks"]


@pytest.mark.parametrize("kind", ["queue", "interrupt", "steer"])
async def test_who_waits_for_a_run_that_died_gets_the_session(host: Host, kind: str) -> None:
    host.hold("Ada")
    dead = await host.say("gone", "1", wait=False)
    waiting = await host.say("still here", "2", wait=False, on_busy=kind)
    await host.terminate(dead)
    await host.release("Ada")
    ended = await host.result(waiting)
    assert ended.output["text"] == "An answer."
    assert host.texts() == ["still here"]
    assert ended.elapsed <= timedelta(seconds=15)


async def test_a_session_held_by_a_dead_run_is_taken_over_at_once(host: Host) -> None:
    host.hold("Ada")
    dead = await host.say("gone", "1", wait=False)
    await host.terminate(dead)
    await host.release("Ada")
    for turn, kind in [("2", "reject"), ("3", "queue")]:
        ended = await host.say("here", turn, on_busy=kind)
        assert (ended.status, ended.elapsed) == ("Completed", timedelta())


async def test_a_dead_run_in_the_line_holds_nobody_up_for_long(host: Host) -> None:
    host.hold("Ada")
    first = await host.say("one", "1", wait=False)
    dead = await host.say("two", "2", wait=False, on_busy="queue")
    last = await host.say("three", "3", wait=False, on_busy="queue")
    await host.terminate(dead)
    await host.release("Ada")
    await host.result(first)
    ended = await host.result(last)
    assert ended.status == "Completed"
    assert ended.elapsed <= timedelta(seconds=15)


@pytest.mark.parametrize("how", ["cancel", "deadline"])
@pytest.mark.parametrize("kind", ["queue", "steer"])
async def test_who_gives_up_waiting_is_not_heard_later(host: Host, how: str, kind: str) -> None:
    host.hold("Ada")
    first = await host.say("one", "1", wait=False)
    deadline = (host.now + timedelta(seconds=3)).isoformat()
    fields = {"deadline": deadline, "timeout": 3} if how == "deadline" else {}
    waiting = await host.say("two", "2", wait=False, on_busy=kind, **fields)
    if how == "cancel":
        await host.raise_event(waiting, "cancel")
    assert (await host.result(waiting)).status == "Failed"
    await host.release("Ada")
    assert (await host.result(first)).status == "Completed"
    await host.say("three", "3")
    assert host.texts() == ["one", "An answer.", "three"]


@pytest.mark.parametrize("key", ["ann@example.com", "a/b#c?d\\e%40", "s\n\x7f", "λ 漢", "x" * 256])
async def test_a_session_may_have_any_id(host: Host, key: str) -> None:
    for turn in ("1", "2"):
        ended = await host.say(f"q{turn}", turn, session=key)
        assert ended.output["session_id"] == key
    assert host.texts() == ["q1", "An answer.", "q2"]
    other = await host.say("alone", "3", session=key.replace("@", "%40") + "!")
    assert other.status == "Completed"
    assert host.texts() == ["alone"]


async def test_a_session_is_not_found_by_another_principal(host: Host) -> None:
    await host.say("mine", "1", principal={"id": "ann"})
    refused = await host.say("whose?", "2", principal={"id": "bob"})
    assert "SessionNotFound" in str(refused.failure)
    assert len(host.model.requests) == 1


@pytest.mark.parametrize("size", [500_000, 2_000_000])
async def test_a_message_that_is_too_large_fails_at_once_with_its_size(
    host: Host, size: int
) -> None:
    refused = await host.say("x" * size, "1")
    assert "MessageTooLarge" in str(refused.failure)
    assert host.model.requests == []


async def test_a_session_that_is_deleted_under_a_run_ends_the_run(host: Host) -> None:
    host.hold("Ada")
    run = await host.say("hi", "1", wait=False)
    await host.signal_entity("dafx-Ada", "s", "delete", {"anyone": True})
    await host.release("Ada")
    assert "AgentCancelled" in str((await host.result(run)).failure)
    assert host.entity("dafx-Ada", "s") is None


async def test_who_waits_for_a_session_that_is_deleted_begins_it_anew(host: Host) -> None:
    host.hold("Ada")
    first = await host.say("hi", "1", wait=False)
    second = await host.say("me too", "2", wait=False, on_busy="queue")
    await host.signal_entity("dafx-Ada", "s", "delete", {"anyone": True})
    await host.release("Ada")
    assert (await host.result(first)).status == "Failed"
    assert (await host.result(second)).output["text"] == "An answer."
    assert host.texts() == ["me too"]


async def test_waiting_for_an_hour_stores_the_message_once(host: Host) -> None:
    host.hold("Ada")
    await host.say("hi", "1", wait=False)
    second = await host.say("x" * 50_000, "2", wait=False, on_busy="queue")
    await host.advance(hours=1)
    stored = b"".join(event.SerializeToString() for event in second.history)
    assert stored.count(b"x" * 50_000) <= 2  # as the run's input, and on its way to the session
    assert len(second.history) < 1_000


FORM = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(("answer", "status"), [('{"n": 7}', "Completed"), ("seven", "Failed")])
async def test_a_steering_message_gets_no_answer_in_another_form(
    host: Host, answer: str, status: str
) -> None:
    host.model.will(calls(("a", "slow", "{}")), says(answer))
    host.hold("slow")
    await host.say("count", "1", wait=False)
    output = {"name": "N", "json_schema": FORM}
    second = await host.say("as json", "2", wait=False, on_busy="steer", output=output)
    await host.release("slow")
    ended = await host.result(second)
    assert ended.status == status
    if status == "Failed":
        assert "InvalidAgentOutput" in str(ended.failure)


OVERFLOW = {
    "code": "context_length_exceeded",
    "type": "invalid_request_error",
    "param": "messages",
    "message": "This model's maximum context length is 5000 tokens.",
}


async def test_an_overflow_is_compacted_once_and_only_a_good_turn_makes_it_last(
    host: Host,
) -> None:
    """Case 17."""
    host.model.will(says("a" * 2000))
    for number in range(6):
        await host.say(f"q{number}" * 1000, str(number))
    host.model.will(refuses(**OVERFLOW), says("fits"))
    seventh = await host.say("seven" * 20, "7")
    assert seventh.output["text"] == "fits"
    assert len(host.model.requests) == 8
    assert host.texts()[-1] == "seven" * 20
    assert sum(map(len, host.texts())) < 20_000
    assert host.model.requests[-1].body["messages"][0]["content"] == "You are Ada."
    assert "were left out" in seventh.output["notes"][0]
    before = host.session["turns"]
    host.model.will(refuses(**OVERFLOW))
    eighth = await host.say("8" * 30_000, "8")
    assert "ModelRejected" in str(eighth.failure)
    assert "context_length_exceeded" in str(eighth.failure)
    assert len(host.model.requests) == 10
    assert host.session["turns"][:-1] == before
    host.model.will(says("nine"))
    assert (await host.say("x" * 100, "9")).output["text"] == "nine"
    assert len(host.model.requests) == 11
    assert "8" * 30_000 not in host.texts()


@pytest.mark.parametrize("policy", [SessionPolicy(summarise_after=3)])
async def test_older_turns_are_summarised_by_the_agent_before_it_answers(host: Host) -> None:
    for number in range(3):
        await host.say(f"q{number}", str(number))
    host.model.will(says("three questions were asked"), says("ok"))
    await host.say("and now?", "new")
    assert "q0" in host.texts(-2)[0]
    assert "and now?" not in host.texts(-2)
    assert "tools" not in host.model.requests[-2].body
    assert "three questions were asked" in host.texts()[0]
    assert host.texts()[-1].endswith("and now?")
    assert host.session["summary"] == "three questions were asked"


@pytest.mark.parametrize("policy", [SessionPolicy(summarise_after=2)])
async def test_without_a_summary_the_older_turns_stay(host: Host) -> None:
    for number in range(2):
        await host.say(f"q{number}", str(number))
    host.model.will(refuses(message="no"), says("ok"))
    assert (await host.say("and now?", "new")).output["text"] == "ok"
    assert host.texts() == ["q0", "An answer.", "q1", "An answer.", "and now?"]


async def test_a_filtered_message_does_not_poison_the_session(host: Host) -> None:
    """Case 33."""
    host.model.will(
        says("hello"), refuses(code="content_filter", message="The prompt was filtered")
    )
    await host.say("hi", "1")
    await host.say("forbidden", "2")
    host.model.will(calls(("a", "slow", '{"what": "once"}')), refuses(code="content_filter"))
    await host.say("use it", "3")
    host.model.will(says("fine"))
    assert (await host.say("and now?", "4")).output["text"] == "fine"
    assert host.texts() == ["hi", "hello", "and now?"]
    assert EFFECTS == ["once"]


async def test_usage_is_in_the_session(host: Host) -> None:
    """Case 37."""
    host.model.will(calls(("a", "slow", "{}")), says("done"))
    run = await host.say("hi", "1")
    assert host.session["usage"]["total_tokens"] == run.output["usage"]["total_tokens"] == 36


async def test_an_unused_session_is_deleted(host: Host) -> None:
    await host.say("hi", "1")
    await host.advance(days=13)
    assert host.entity("dafx-Ada", "s") is not None
    await host.say("again", "2")
    await host.advance(days=13)
    assert host.entity("dafx-Ada", "s") is not None
    await host.advance(days=2)
    assert host.entity("dafx-Ada", "s") is None
