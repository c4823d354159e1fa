"""Random models, random limits, kills anywhere: a run ends, asks validly, and does each thing once.

What is random is decided by Hypothesis before the run; the model answers by the conversation, so a
request that a kill repeats gets the same reply.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_agents import Agent, ModelRejected, ModelUnavailable, RunLimits, ToolContext, tool
from durable_agents.errors import AgentCallFailed
from durable_agents.messages import Message, ModelReply, RunRequest, TokenUsage, ToolCall
from durable_agents.model import ChatRequest
from durable_agents.models.chat_form import chat_fields
from durable_agents.models.tool_calls import RawCall, read_calls
from durable_agents.testing import Run
from durable_agents.testing.wire_check import wire_problems
from tests.durable_agents.cases.whole_run import Host, hosted, template_problems

IDS = st.sampled_from(["call_0", "call_1", "a", "", " ", "x" * 60, None, 7])
NAMES = st.sampled_from(
    [
        *(
            "add",
            "add",
            "add",
            "note",
            "note",
            "wire",
            "wire",
            "boom",
            "flaky",
            "Helper",
            "transfer_to_Bob",
        ),
        *("functions.add", "lookup weather", "multi_tool_use.parallel", "", None),
    ]
)
ARGUMENTS = st.sampled_from(
    [
        *(
            '{"a": 1, "b": 2}',
            '{"a": 1, "b": 2}',
            '{"a": "1", "b": null}',
            '{"a": 1',
            "[]",
            "",
            "null",
        ),
        *('{"text": "x\ny"}', '{"text": "\\ud83d"}', '{"message": "Help."}', '{"a": NaN, "b": 1}'),
        '{"tool_uses": [{"recipient_name": "functions.add", "parameters": {"a": 3, "b": 4}}]}',
    ]
)
CALLS = st.lists(st.tuples(IDS, NAMES, ARGUMENTS), min_size=1, max_size=4)
TEXTS = st.sampled_from(["", "A moment.", '{"n": 7}', "seven", "```json\n{}\n```", "\U0001f600"])
SAYS = TEXTS.filter(bool).map(lambda text: ("says", text))
ASKS = st.tuples(TEXTS, CALLS).map(lambda both: ("asks", *both))
FAILS = st.sampled_from([("fails", "rejected"), ("fails", "unavailable")])
ENDS = st.one_of(SAYS, SAYS, SAYS, ASKS, FAILS)
SCRIPTS = st.tuples(st.lists(ASKS, min_size=1, max_size=5), ENDS).map(
    lambda both: [*both[0], both[1]]
)
LIMITS = st.builds(
    RunLimits,
    turns=st.sampled_from([8, 8, 3, 1]),
    tool_calls=st.sampled_from([20, 20, 5, 1]),
    handoffs=st.sampled_from([2, 1, 0]),
    depth=st.sampled_from([2, 1, 0]),
)
SESSIONS = st.sampled_from(["", "s"])


@dataclass
class RandomModel:
    """Answers each request by the reply of the script at the place of the conversation."""

    script: list[tuple[Any, ...]]
    model: str = "random"
    problems: list[str] = field(default_factory=list[str])
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def complete(self, request: ChatRequest) -> ModelReply:
        body = chat_fields(request)
        self.problems += [*wire_problems(body), *template_problems(body["messages"])]
        self.bodies.append(body)
        said = sum(message["role"] == "assistant" for message in body["messages"])
        # An agent that is asked as a tool is one reply ahead of the one that asks it.
        ahead = any(message["content"] == "Help." for message in body["messages"])
        what, *how = self.script[min(said + ahead, len(self.script) - 1)]
        match what:
            case "fails":
                kind = ModelRejected if how[0] == "rejected" else ModelUnavailable
                raise kind("by the script", model=self.model)
            case "says":
                return self._reply(how[0])
            case _:
                raw = [RawCall(*one) for one in how[1]]
                return self._reply(how[0], read_calls(raw))

    def _reply(self, text: str, calls: tuple[ToolCall, ...] = ()) -> ModelReply:
        usage = TokenUsage(input_tokens=3, output_tokens=2, total_tokens=5)
        return ModelReply(text=text, calls=calls, usage=usage, model=self.model)


@dataclass
class World:
    """An agent that can do everything, and what its tools have done, by key."""

    script: list[tuple[Any, ...]]
    limits: RunLimits
    session: str = ""
    done: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])

    def __post_init__(self) -> None:
        self.model = RandomModel(self.script)

        @tool
        def add(a: int, context: ToolContext, b: int = 2) -> int:
            self._note("add", context)
            return a + b

        @tool
        async def note(text: str, context: ToolContext) -> None:
            self._note("note", context)

        @tool
        def boom(context: ToolContext) -> str:
            self._note("boom", context)
            raise RuntimeError("secret")

        @tool(retry=2)
        def flaky(context: ToolContext) -> str:
            self._note("flaky", context)
            if context.attempt == 1:
                raise RuntimeError("secret")
            return "at last"

        @tool(approval="always")
        def wire(context: ToolContext, a: int = 1) -> str:
            self._note("wire", context)
            return "wired"

        helper = Agent(name="Helper", tools=(add, wire), limits=self.limits)
        bob = Agent(name="Bob", instructions="You are Bob.", tools=(note,), handoffs=("Ada",))
        self.agent = Agent(
            name="Ada",
            instructions="You are Ada.",
            tools=(add, note, wire, boom, flaky, helper.as_tool()),
            handoffs=(bob,),
            limits=self.limits,
        )

    def _note(self, name: str, context: ToolContext) -> None:
        self.done.append((name, context.idempotency_key, context.attempt))

    async def run(self, **kit: Any) -> tuple[Any, int]:
        """Run the agent, in a session twice; return how the runs ended, and the steps it took."""
        self.done.clear()
        self.model.bodies.clear()
        outcomes: list[Any] = []
        async with hosted(self.agent, client=self.model, **kit) as host:
            for number in range(2 if self.session else 1):
                run = await host.start("run-Ada", self._request(), instance_id=f"run-{number}")
                await people_answer(host, run)
                failure = run.failure and (run.failure.type, run.failure.message)
                outcomes.append((run.output, failure))
                require_truth(run)
            assert host.pending() == []
            assert all(one.has_ended for one in host.runs)
        return outcomes, host.steps

    def _request(self) -> dict[str, Any]:
        request = RunRequest(
            agent="Ada",
            messages=(Message.of("user", "Go."),),
            limits=self.limits,
            session=self.session,
        )
        return request.model_dump(mode="json", exclude_defaults=True)


async def people_answer(host: Host, run: Run) -> None:
    """Answer what people are asked until a run has ended: yes, no, or not at all, in turn."""
    answers = cycle([True, {"approved": False, "reason": "no"}, None])
    while not run.has_ended:
        asked = host.pending(run)
        answer = next(answers) if asked else None
        if answer is None:
            await host.advance(hours=25)
        else:
            await host.answer(run, answer, request=asked[0]["request_id"])


def require_truth(run: Run) -> None:
    """Demand that the run has ended well, with a text, or with an error of the library."""
    if run.status == "Completed":
        assert run.output["text"].strip()
        return
    assert (run.status, run.output) == ("Failed", None)
    assert run.failure is not None
    assert run.failure.type in {kind.__name__ for kind in AgentCallFailed.__subclasses__()}
    assert "secret" not in run.failure.message


def random_runs(examples: int) -> Callable[[Any], Any]:
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


@random_runs(50)
@given(SCRIPTS, LIMITS, SESSIONS)
async def test_run_ends_within_its_limits_with_valid_requests_and_each_effect_once(
    script: list[tuple[Any, ...]], limits: RunLimits, session: str
) -> None:
    world = World(script, limits, session)
    await world.run()
    assert world.model.problems == []
    # A call is done once, or as often as its retries have it, under one key of its own.
    assert len(set(world.done)) == len(world.done)
    assert all(key for _, key, _ in world.done)


@random_runs(40)
@given(SCRIPTS, LIMITS, SESSIONS, st.data())
async def test_kill_at_any_step_changes_neither_the_end_nor_what_was_done(
    script: list[tuple[Any, ...]], limits: RunLimits, session: str, data: st.DataObject
) -> None:
    world = World(script, limits, session)
    outcome, steps = await world.run()
    done, last = set(world.done), json.dumps(world.model.bodies[-1])
    step = data.draw(st.integers(1, max(1, steps - 1)))
    again, _ = await world.run(kill_after=step)
    assert again == outcome
    assert set(world.done) == done
    assert json.dumps(world.model.bodies[-1]) == last
    assert world.model.problems == []
