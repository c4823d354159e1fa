"""What an agent may ask for in a reply: its tools, agents as tools, and transfers to other agents.

A reply's calls are prepared once, in the activity that got the reply: which of them are made, with
which arguments, and which need a person's approval. The orchestrator reads that from its history.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from durabletask.task import RetryPolicy

from durable_agents import json_text
from durable_agents.agent import Agent, AgentTool
from durable_agents.errors import InvalidAgent
from durable_agents.messages import PreparedCall, ToolCall
from durable_agents.model import ToolSpec
from durable_agents.tools import Tool, tool
from durable_agents.tools.json_text import NotAnObject, read_object, written

_LONGEST_NAME = 64
_SECRET_BYTES = 32
_MESSAGE = {
    "type": "object",
    "properties": {"message": {"type": "string", "description": "What it is told or asked."}},
    "required": ["message"],
    "additionalProperties": False,
}
_NOTHING: dict[str, Any] = {
    "type": "object",
    "properties": {},
    "required": [],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Handoff:
    """A transfer of the conversation to another agent, as a tool that the model may call.

    Attributes:
        target: The other agent's name.
        about: What it is for, for the model.
        agent: The other agent, unless it is given by its name alone.
    """

    target: str
    about: str = ""
    agent: Agent | None = None

    @classmethod
    def to(cls, other: Agent | str) -> "Handoff":
        """Return the transfer to an agent."""
        if isinstance(other, str):
            return cls(other)
        return cls(other.name, other.description, other)

    @property
    def name(self) -> str:
        """The tool's name."""
        name = f"transfer_to_{self.target}"
        if len(name) <= _LONGEST_NAME:
            return name
        return f"{name[:55]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    @property
    def description(self) -> str:
        """What the model is told it is for."""
        about = f": {self.about}" if self.about else ""
        return f"Hand this conversation over to {self.target}{about}"


@dataclass(frozen=True)
class Toolset:
    """All that one agent may ask for, by the names that its model knows."""

    agent: str
    by_name: Mapping[str, Tool | AgentTool | Handoff]
    retry: RetryPolicy

    @classmethod
    def of(cls, agent: Agent, retry: RetryPolicy) -> "Toolset":
        """Return what an agent may ask for.

        Args:
            agent: The agent.
            retry: The waits of tools that say only how often they are tried.

        Raises:
            InvalidAgent: A function cannot be a tool, or two have one name.
        """
        offered: list[Tool | AgentTool | Handoff] = [
            given if isinstance(given, Tool | AgentTool) else _as_tool(given, agent.name)
            for given in agent.tools
        ]
        offered += [Handoff.to(other) for other in agent.handoffs]
        by_name: dict[str, Tool | AgentTool | Handoff] = {}
        for one in offered:
            if one.name in by_name:
                raise InvalidAgent(f"agent '{agent.name}' has two tools named '{one.name}'.")
            by_name[one.name] = one
        return cls(agent.name, by_name, retry)

    @cached_property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as the model's server is told of them."""
        return tuple(_spec(one) for one in self.by_name.values())

    @property
    def functions(self) -> tuple[Tool, ...]:
        """The tools that are functions."""
        return tuple(one for one in self.by_name.values() if isinstance(one, Tool))

    @property
    def agents(self) -> tuple[Agent, ...]:
        """The agents that it may ask, or hand over to."""
        others = [one for one in self.by_name.values() if isinstance(one, AgentTool | Handoff)]
        return tuple(one.agent for one in others if one.agent is not None)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the agents that it may hand over to."""
        return tuple(one.target for one in self.by_name.values() if isinstance(one, Handoff))

    def prepare(
        self, calls: tuple[ToolCall, ...], *, disabled: bool = False
    ) -> tuple[PreparedCall, ...]:
        """Decide about the calls of one reply, in their order.

        Args:
            calls: The calls.
            disabled: Whether tools are disabled: then none is made, and the model is told so.
        """
        return tuple(self._prepare(call, disabled) for call in calls)

    def _prepare(self, call: ToolCall, disabled: bool) -> PreparedCall:
        kept = call.model_copy(update={"arguments": _sendable(call.arguments)})
        if disabled:
            problem = "not done: tools are disabled; answer without them"
            return PreparedCall(call=kept, action="tell", problem=problem)
        one = self.by_name.get(call.name)
        match one:
            case None:
                names = ", ".join(self.by_name) or "none"
                problem = f"no tool named '{call.name}'; tools: {names}"
                return PreparedCall(call=kept, action="tell", problem=problem)
            case Handoff():
                return PreparedCall(call=kept, action="hand_off", target=one.target)
            case AgentTool():
                message = _message(call.arguments)
                if not message:
                    problem = "message: a text that is not empty is needed"
                    return PreparedCall(call=kept, action="tell", problem=problem)
                return PreparedCall(
                    call=kept, action="agent", target=one.agent.name, arguments=message
                )
            case Tool():
                return self._prepare_tool(one, kept, call.arguments)

    def _prepare_tool(self, one: Tool, kept: ToolCall, arguments: str) -> PreparedCall:
        read = one.read(arguments)
        if read.problem:
            return PreparedCall(call=kept, action="tell", problem=read.problem)
        return PreparedCall(
            call=kept,
            action="run",
            target=one.activity,
            arguments=read.arguments,
            approval=one.needs_approval(read.arguments),
            policy=one.policy(self.retry),
            # Recorded with the reply that asks for the call: the same in every attempt of it.
            callback=secrets.token_urlsafe(_SECRET_BYTES) if one.later else "",
        )


def _as_tool(given: Callable[..., Any], agent: str) -> Tool:
    try:
        return tool(given)
    except InvalidAgent as error:
        raise InvalidAgent(f"agent '{agent}': {error}") from None


def _spec(one: Tool | AgentTool | Handoff) -> ToolSpec:
    match one:
        case Tool():
            return one.spec
        case AgentTool():
            about = one.description or f"Ask the agent {one.agent.name}."
            return ToolSpec(one.name, about, _MESSAGE, strict=True)
        case Handoff():
            return ToolSpec(one.name, one.description, _NOTHING, strict=True)


def _message(arguments: str) -> str:
    """Return what an agent is to be told; empty if the arguments do not say."""
    try:
        given: object = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        return ""
    message = cast("dict[str, object]", given).get("message") if isinstance(given, dict) else given
    return message.strip() if isinstance(message, str) else ""


def _sendable(arguments: str) -> str:
    """Return arguments as a server takes them back: an object in JSON, as the model wrote it."""
    try:
        if isinstance(json_text.parse(arguments), dict):
            return arguments
    except (ValueError, RecursionError):
        pass
    try:
        return written(read_object(arguments))
    except NotAnObject:
        return "{}"
