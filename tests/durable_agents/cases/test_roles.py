"""Servers that want one system message and roles in turn: nothing is refused, nothing is lost."""

from typing import Any

import pytest

from durable_agents import Agent, AgentFunctionApp, Message, OpenAIChatClient, tool
from durable_agents.testing import DurableTest
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import template_problems
from tests.durable_agents.scripted_model import Reply, Request, ScriptedModel, calls, refuses, says


class Template:
    """Refuses what a strict chat template does: the roles after the tool turns are in turn."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)

    def __call__(self, request: Request) -> Reply:
        if problems := list(template_problems(request.body["messages"])):
            return refuses(400, code="template", message=f"the template refuses: {problems}")
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


async def test_session_of_several_turns_with_tools_is_taken(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 27: a session."""

    @tool
    def look() -> str:
        return "seven"

    model.respond = Template(
        says("hello"), calls(("c", "look", "{}"), text="A moment."), says("7"), says("bye")
    )
    ada = Agent(name="Ada", instructions="You are Ada.", tools=(look,))
    async with hosting(ada) as host:
        for message in ("hi", "how many?", "thanks"):
            await host.answered(message=message, session_id="s")
    said = [message["content"] for message in model.requests[-1].body["messages"]]
    assert said == [
        *("You are Ada.", "hi", "hello", "how many?"),
        *("A moment.", "seven", "7", "thanks"),
    ]


async def test_conversation_after_handoffs_is_taken(hosting: Hosting, model: ScriptedModel) -> None:
    """Case 27: what others said is the user's, with their name, and neighbours are merged."""
    carol = Agent(name="Carol", instructions="You are Carol.")
    bob = Agent(name="Bob", instructions="You are Bob.", handoffs=(carol,))
    ada = Agent(name="Ada", instructions="You are Ada.", handoffs=(bob,))
    model.respond = Template(
        calls(("h", "transfer_to_Bob", "{}"), text="Bob will know."),
        calls(("h", "transfer_to_Carol", "{}"), text="Carol will know."),
        says("I know."),
        calls(("h", "transfer_to_Bob", "{}")),
        says("Me too."),
    )
    async with hosting(ada) as host:
        await host.answered(message="Who knows?", session_id="s")
        await host.answered(message="Who else?", session_id="s")
    last = model.requests[-1].body["messages"]
    assert last[0] == {"role": "system", "content": "You are Bob."}
    whole = "\n".join(str(message["content"]) for message in last)
    for part in ("Who knows?", "Ada: Bob will know.", "Carol: I know.", "Who else?"):
        assert whole.count(part) == 1
    assert [one["content"] for one in last if one["role"] == "assistant"] == ["Carol will know."]


async def test_sequence_with_the_whole_conversation_is_taken(
    chat_client: OpenAIChatClient, model: ScriptedModel
) -> None:
    """Case 27: a sequence of three, each told all that was said before it."""
    names = ("Ada", "Bob", "Carol")
    agents = [Agent(name=name, instructions=f"You are {name}.") for name in names]

    def make() -> AgentFunctionApp:
        app = AgentFunctionApp(agents, chat_client=chat_client)

        @app.orchestration_trigger(context_name="context")
        def sequence(context: Any) -> Any:
            said = [Message.of("user", "Begin.")]
            for _ in range(2):
                for name in names:
                    reply = yield app.get_agent(context, name).run(said)
                    said.append(Message.of("assistant", reply.text, author=name))
            return [message.text for message in said]

        return app

    model.respond = Template(*[says(f"Word {n}.") for n in range(6)])
    async with DurableTest(make) as host:
        run = await host.run("sequence")
        assert await host.replay() == []
    assert run.output == ["Begin.", *[f"Word {n}." for n in range(6)]]
    last = model.requests[-1].body["messages"]
    assert [one["role"] for one in last] == ["system", "user", "assistant", "user"]
    assert last[2]["content"] == "Word 2."
    whole = "\n".join(one["content"] for one in last)
    for part in ("Begin.", "Ada: Word 0.", "Bob: Word 1.", "Ada: Word 3.", "Bob: Word 4."):
        assert whole.count(part) == 1


@pytest.mark.parametrize(
    "said",
    [
        [Message.of("assistant", "I begin.", author="Bob")],
        [Message.of("user", "a"), Message.of("user", "b")],
        [Message.of("user", "a"), Message.of("assistant", "b")],
        [Message.of("assistant", "a"), Message.of("assistant", "b")],
        [Message.of("assistant", "a"), Message.of("user", "b"), Message.of("assistant", "c")],
    ],
)
async def test_any_conversation_that_an_agent_is_given_is_taken(
    chat_client: OpenAIChatClient, model: ScriptedModel, said: list[Message]
) -> None:
    """Of the kind of case 27: flows put conversations together as they like."""

    def make() -> AgentFunctionApp:
        app = AgentFunctionApp([Agent(name="Ada", instructions="You.")], chat_client=chat_client)

        @app.orchestration_trigger(context_name="context")
        def story(context: Any) -> Any:
            return (yield app.get_agent(context, "Ada").run(said)).text

        return app

    model.respond = Template(says("fine"))
    async with DurableTest(make) as host:
        run = await host.run("story")
    assert run.output == "fine"
    whole = "\n".join(one["content"] for one in model.requests[-1].body["messages"])
    for message in said:
        assert whole.count(message.text) >= 1
