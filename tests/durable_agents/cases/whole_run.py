"""Whole runs of agents: through HTTP, with a scripted model, tools that leave a trace, and replay.

Every run that ends here is replayed: all turns of all orchestrations, by an app made anew.
"""

import json
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from durable_agents import Agent, AgentFunctionApp, ChatModel, ToolContext
from durable_agents.messages import CallPolicy, Message, RunRequest
from durable_agents.structured_output import OutputFormat
from durable_agents.testing import DurableTest
from tests.durable_agents.scripted_model import Reply, Request, ScriptedModel


class Effects:
    """A file to which tools append a line for each time they run."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def add(self, what: str, context: ToolContext | None = None) -> None:
        """Note that a tool has run."""
        key = context.idempotency_key if context is not None else ""
        with self.file.open("a") as lines:
            lines.write(json.dumps([what, key]) + "\n")

    @property
    def noted(self) -> list[tuple[str, str]]:
        """What ran, each with the idempotency key of its call."""
        if not self.file.exists():
            return []
        return [(what, key) for what, key in map(json.loads, self.file.read_text().splitlines())]

    @property
    def lines(self) -> list[str]:
        """What ran."""
        return [what for what, _ in self.noted]

    @property
    def keys(self) -> list[str]:
        """The idempotency keys of what ran."""
        return [key for _, key in self.noted]

    @property
    def distinct(self) -> list[str]:
        """What ran, with each call once: what a tool that heeds its key would have done."""
        return [what for what, _ in dict.fromkeys(self.noted)]


class Host(DurableTest):
    """An app in the testing kit, asked by HTTP."""

    async def ask(self, agent: str = "Ada", message: str = "Go.", **body: Any) -> Any:
        """Ask an agent and return the answer, whatever it is."""
        headers = body.pop("headers", None)
        sent = {"message": message, **body}
        return await self.request("POST", f"/api/agents/{agent}/run", json=sent, headers=headers)

    async def answered(self, agent: str = "Ada", message: str = "Go.", **body: Any) -> Any:
        """Ask an agent and return the JSON of its answer, which must be one."""
        answer = await self.ask(agent, message, **body)
        assert answer.status == 200, answer.text
        return answer.json()

    async def problem(self, agent: str = "Ada", message: str = "Go.", **body: Any) -> Any:
        """Ask an agent and return the problem that it answers with; its run has failed."""
        answer = await self.ask(agent, message, **body)
        assert answer.status >= 400, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == answer.status
        assert self.find(problem["correlation_id"]).status in ("Failed", "Terminated")
        return problem


@asynccontextmanager
async def hosted(
    *agents: Agent, client: ChatModel | None = None, **kit: Any
) -> AsyncGenerator[Host]:
    """Run an app with agents; at the end every history is replayed."""

    def app() -> AgentFunctionApp:
        return AgentFunctionApp(agents, chat_client=client)

    async with Host(app, **kit) as host:
        yield host
        host.kill()  # the app is made anew
        assert await host.replay() == []


def in_turn(*replies: Reply) -> Callable[[Request], Reply]:
    """Return a script that goes by the conversation: the same request gets the same reply.

    The reply of a request is that of as many assistant's messages as it has; the last one stays.
    """

    def respond(request: Request) -> Reply:
        said = sum(message["role"] == "assistant" for message in request.body["messages"])
        return replies[min(said, len(replies) - 1)]

    return respond


def told(request: Request, call_id: str | None = None) -> str:
    """Return what a request tells the model of a call; of the last one, if no id is given."""
    found = [one for one in request.body["messages"] if one["role"] == "tool"]
    if call_id is not None:
        found = [one for one in found if one["tool_call_id"] == call_id]
    return found[-1]["content"]


def roles(request: Request) -> str:
    """Return the roles of a request's messages, each by its first letter."""
    return "".join(message["role"][0] for message in request.body["messages"])


def only_run(host: DurableTest) -> Any:
    """Return the one orchestration that there is."""
    (run,) = host.runs
    return run


def requests_of(model: ScriptedModel) -> list[dict[str, Any]]:
    """Return the bodies of the requests a model got."""
    return [request.body for request in model.requests]


def run_input(
    response_format: type[BaseModel] | None = None, agent: str = "Ada", **more: Any
) -> dict[str, Any]:
    """Return the input of `run-<agent>`, for tests that start a run without HTTP."""
    request = RunRequest(
        agent=agent,
        messages=(Message.of("user", "Go."),),
        output=OutputFormat.create(response_format).schema if response_format else None,
        policy=CallPolicy(attempts=3, corrections=2),
        **more,
    )
    return request.model_dump(mode="json", exclude_defaults=True)


def template_problems(messages: list[dict[str, Any]]) -> Iterator[str]:
    """Return what a strict chat template refuses: roles that are not in turn, tool turns aside."""
    rest = messages[1:] if messages[0]["role"] == "system" else messages
    plain = [one for one in rest if one["role"] != "tool" and not one.get("tool_calls")]
    if any(one["role"] == "system" for one in rest):
        yield "a system message that is not the first"
    if not plain or plain[0]["role"] != "user":
        yield "does not begin with the user"
    for before, after in pairwise(rest):
        if before["role"] == after["role"] != "tool":
            yield f"two of {after['role']}"
    if rest[-1]["role"] not in ("user", "tool"):
        yield "does not end with the user"
    if any(one["role"] == "user" and not one["content"].strip() for one in rest):
        yield "an empty message of the user"
