"""What an interrupted turn, or one that is too long, leaves in a session: nothing broken."""

import json
from typing import Any

from durable_agents import Agent, RunLimits, tool
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, Host
from tests.durable_agents.scripted_model import Reply, Request, ScriptedModel, calls, refuses, says

SLOW = ("a", "slow", "{}")
FAST = ("b", "fast", "{}")
FIRST, SECOND = "The first message.", "The second message."


def ada(effects: Effects, **fields: Any) -> Agent:
    @tool
    def slow() -> str:
        effects.add("slow")
        return "slow is done"

    @tool
    def fast() -> str:
        effects.add("fast")
        return "fast is done"

    return Agent(name="Ada", instructions="You are Ada.", tools=(slow, fast), **fields)


async def goes_on(host: Host, model: ScriptedModel, *, broken: str = "") -> None:
    """Say the second message; the session must be as good as ever."""
    model.will(says("hello"))
    answer = await host.answered(message=SECOND, session_id="s")
    assert answer["response"] == "hello"
    messages = model.requests[-1].body["messages"]
    assert [one["content"] for one in messages].count(SECOND) == 1
    assert messages[0]["content"] == "You are Ada."
    history = (await host.request("GET", "/api/agents/Ada/sessions/s")).json()
    require_whole(history)
    if broken:
        first, second = history["turns"]
        assert (first["broken"], first["status"], second["broken"]) == (True, broken, False)


def require_whole(history: dict[str, Any]) -> None:
    """Demand that each call in a session has its result."""
    for turn in history["turns"]:
        asked = [call["id"] for one in turn["messages"] for call in one.get("calls", ())]
        got = [one["call_id"] for one in turn["messages"] if "call_id" in one]
        assert sorted(asked) == sorted(got)


async def test_kill_while_a_tool_runs_lets_the_run_itself_go_on(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 15 (a)."""
    model.will(calls(SLOW), says("at last"))
    async with hosting(ada(effects)) as host:
        host.hold("slow")
        await host.ask(message=FIRST, session_id="s", wait_for_response=False)
        host.kill()
        await host.release()
        (run,) = host.runs
        assert run.output["text"] == "at last"
        await goes_on(host, model)
    assert effects.lines == ["slow"]
    said = [one["content"] for one in model.requests[-1].body["messages"]]
    assert said[-2:] == ["at last", SECOND]


async def test_kill_after_one_of_two_calls_does_not_repeat_the_finished_one(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 15 (f)."""
    model.will(calls(SLOW, FAST), says("at last"))
    async with hosting(ada(effects)) as host:
        host.hold("slow")
        await host.ask(message=FIRST, session_id="s", wait_for_response=False)
        assert effects.lines == ["fast"]
        host.kill()
        await host.release()
        await goes_on(host, model)
    assert effects.lines == ["fast", "slow"]


async def test_time_limit_in_the_middle_of_a_tool_leaves_a_session_that_goes_on(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 15 (b)."""
    model.will(calls(SLOW))
    async with hosting(ada(effects)) as host:
        host.takes("slow", 600)
        problem = await host.problem(message=FIRST, session_id="s", timeout=60)
        assert (problem["code"], problem["status"]) == ("AgentTimeout", 504)
        await goes_on(host, model, broken="timed_out")


async def test_limit_of_turns_leaves_a_session_that_goes_on(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 15 (c)."""
    model.will(calls(SLOW))
    async with hosting(ada(effects, limits=RunLimits(turns=1))) as host:
        problem = await host.problem(message=FIRST, session_id="s")
        assert problem["code"] == "MaxTurnsExceeded"
        await goes_on(host, model, broken="out_of_turns")
    assert effects.lines == ["slow"]


async def test_terminated_run_leaves_a_session_that_goes_on(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 15 (d): it could not give its session back."""
    model.will(calls(SLOW))
    async with hosting(ada(effects)) as host:
        host.hold("slow")
        started = await host.ask(message=FIRST, session_id="s", wait_for_response=False)
        run = started.json()["correlation_id"]
        await host.terminate(run)
        ended = await host.request("GET", f"/api/agents/Ada/runs/{run}")
        assert (ended.status, ended.json()["code"]) == (409, "AgentCancelled")
        await goes_on(host, model, broken="interrupted")


async def test_refused_request_after_a_tool_leaves_a_session_that_goes_on(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 15 (e)."""
    model.will(calls(SLOW), refuses(400, code="bad", message="no"))
    async with hosting(ada(effects)) as host:
        problem = await host.problem(message=FIRST, session_id="s")
        assert problem["code"] == "ModelRejected"
        await goes_on(host, model, broken="failed")
    assert effects.lines == ["slow"]


async def test_cancelled_run_leaves_a_session_that_goes_on(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 15."""
    model.will(calls(SLOW, FAST))
    async with hosting(ada(effects)) as host:
        host.hold("slow")
        started = await host.ask(message=FIRST, session_id="s", wait_for_response=False)
        run = started.json()["correlation_id"]
        cancelled = await host.request("DELETE", f"/api/agents/Ada/runs/{run}")
        again = await host.request("DELETE", f"/api/agents/Ada/runs/{run}")
        assert (cancelled.json()["status"], again.json()["status"]) == ("cancelled", "cancelled")
        await goes_on(host, model, broken="cancelled")
    assert effects.lines == ["fast"]


async def test_run_that_could_not_be_started_is_not_in_the_way_of_the_next(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Of the kind of case 15: a busy session refuses, and is as before."""
    model.will(calls(SLOW), says("at last"))
    async with hosting(ada(effects)) as host:
        host.hold("slow")
        await host.ask(message=FIRST, session_id="s", wait_for_response=False)
        refused = await host.problem(message="Too early.", session_id="s", on_busy="reject")
        assert (refused["code"], refused["status"]) == ("SessionBusy", 409)
        await host.release()
        await goes_on(host, model)
    assert "Too early." not in str(model.requests[-1].body)


LIMIT = 20_000
TURN = "word " * 780  # 3,900 characters


class Small:
    """A model that takes up to 20,000 characters of conversation, once it is told to."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.is_small = False

    def __call__(self, request: Request) -> Reply:
        if self.is_small and len(json.dumps(request.body["messages"])) > LIMIT:
            return refuses(
                code="context_length_exceeded",
                type="invalid_request_error",
                param="messages",
                message="This model's maximum context length is 5000 tokens.",
            )
        return self.replies.pop(0) if self.replies else says("fine")


async def long_session(host: Host, model: ScriptedModel) -> Small:
    """Fill a session with six turns of 4 KB, every other one with a tool."""
    small = Small()
    model.respond = small
    for number in range(6):
        asked = [calls((f"c{number}", "fast", "{}"))] if number % 2 else []
        small.replies = [*asked, says(f"answer {number}")]
        await host.answered(message=f"message {number} {TURN}", session_id="s")
    model.requests.clear()
    small.is_small = True
    return small


async def test_overflow_of_a_session_is_compacted_once_and_answered(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 17 (a)."""
    async with hosting(ada(effects)) as host:
        await long_session(host, model)
        seventh = "message 7 " + "x" * 90
        answer = await host.answered(message=seventh, session_id="s")
        events = str(host.find(answer["correlation_id"]).history)
    assert answer["response"] == "fine"
    assert len(model.requests) == 2
    messages = model.requests[1].body["messages"]
    assert messages[0] == {"role": "system", "content": "You are Ada."}
    assert messages[-1] == {"role": "user", "content": seventh}
    assert "compact" in events
    assert any("left out" in note for note in answer["notes"])


async def test_message_that_is_too_long_by_itself_fails_and_leaves_the_session_as_it_was(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 17 (b) and (c)."""
    async with hosting(ada(effects)) as host:
        await long_session(host, model)
        await host.answered(message="message 7", session_id="s")
        before = await history(host)
        model.requests.clear()
        problem = await host.problem(message="y" * 30_000, session_id="s")
        assert problem["code"] == "ModelRejected"
        assert "context_length_exceeded" in problem["cause"]
        assert len(model.requests) <= 2
        assert await history(host) == before
        model.requests.clear()
        answer = await host.answered(message="message 9 " + "x" * 90, session_id="s")
    assert answer["response"] == "fine"
    assert len(model.requests) == 1
    assert "yyy" not in str(model.requests[0].body)


async def history(host: Host) -> list[dict[str, Any]]:
    """Return the completed turns of the session."""
    told = (await host.request("GET", "/api/agents/Ada/sessions/s")).json()
    return [turn for turn in told["turns"] if not turn["broken"]]


async def test_overflow_without_a_session_is_asked_once(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 17 (d)."""
    small = Small()
    small.is_small = True
    model.respond = small
    async with hosting(ada(effects)) as host:
        problem = await host.problem(message="y" * 30_000)
    assert problem["code"] == "ModelRejected"
    assert "context_length_exceeded" in problem["cause"]
    assert len(model.requests) == 1


async def test_compaction_leaves_no_half_tool_turn_wherever_it_cuts(
    hosting: Hosting, model: ScriptedModel, effects: Effects
) -> None:
    """Case 17; that no call is without its result is checked by the model's server."""
    async with hosting(ada(effects)) as host:
        small = await long_session(host, model)
        for number in range(7, 15):
            small.replies = [calls((f"c{number}", "fast", "{}")), says(f"answer {number}")]
            await host.answered(message=f"message {number} {TURN}", session_id="s")
        require_whole((await host.request("GET", "/api/agents/Ada/sessions/s")).json())
    for request in model.requests:
        assert request.body["messages"][1]["role"] == "user"
