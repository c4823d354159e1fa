"""What an agent is: a name, instructions, the model behind it, and what it may do. Data only."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durabletask.task import RetryPolicy
from pydantic import JsonValue

from durable_agents.errors import InvalidAgent
from durable_agents.messages import RunLimits
from durable_agents.model import RESERVED_OPTIONS, ChatModel
from durable_agents.people.words import Escalation
from durable_agents.sessions.words import SessionPolicy
from durable_agents.structured_output import ResponseFormat

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_agents.tools import Tool

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True)
class AgentTool:
    """An agent that other agents may ask, as a tool of theirs.

    Attributes:
        agent: The agent.
        name: The tool's name; the model is told of it.
        description: What the model is told it is for.
    """

    agent: "Agent"
    name: str
    description: str


@dataclass(frozen=True)
class ApprovalPolicy:
    """How people are asked about calls of tools that need approval.

    Attributes:
        timeout: How long they have; None for ever.
        answerers: Ids or names of the principals who may answer. Empty for the one who called the
            agent, or for everybody where nobody is signed in.
        reminders: When they are reminded, from the start.
        escalations: Who may answer as well, later on.
        notify: An activity that is told when the request is opened, reminded of and escalated.
    """

    timeout: timedelta | None = timedelta(hours=24)
    answerers: tuple[str, ...] = ()
    reminders: tuple[timedelta, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    notify: str = ""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A frozen description of an agent.

    Attributes:
        name: Its name, and that of the activity in histories: a letter, then letters, digits, `_`
            and `-`, 63 at most.
        instructions: What the model is told before each message.
        description: What the agent is for, for people and for agents that may hand over to it.
        chat_client: The model behind it; None for the one of the app.
        tools: What it may call: functions, `@tool`s, other agents `as_tool()`.
        handoffs: The agents to which it may hand a conversation over; by their names where they
            may hand it back.
        response_format: The form of its answers, where a call asks for no other.
        options: Fields of the model request, as its server calls them (`temperature`).
        retry: How its calls are retried; None for the policy of the app.
        corrections: How often an answer that is not in the asked form is asked for again.
        limits: How far one run may go.
        sessions: How its sessions are kept.
        approvals: How people are asked about its tools.

    Raises:
        InvalidAgent: The name cannot be one, an option is not for an agent to set, or a tool
            cannot be offered.
    """

    name: str
    instructions: str = ""
    description: str = ""
    chat_client: ChatModel | None = None
    tools: "Sequence[Tool | AgentTool | Callable[..., Any]]" = ()
    handoffs: "Sequence[Agent | str]" = ()
    response_format: ResponseFormat | None = None
    options: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    retry: RetryPolicy | None = None
    corrections: int = 2
    limits: RunLimits = field(default_factory=RunLimits)
    sessions: SessionPolicy = field(default_factory=SessionPolicy)
    approvals: ApprovalPolicy = field(default_factory=ApprovalPolicy)

    def __post_init__(self) -> None:
        if not is_agent_name(self.name):
            raise InvalidAgent(
                f"agent {self.name!r}: a name starts with a letter and has letters, digits, "
                "'_' and '-' after it, 63 characters at most."
            )
        if reserved := RESERVED_OPTIONS & set(self.options):
            raise InvalidAgent(f"agent '{self.name}': '{min(reserved)}' is not an option.")
        if self.corrections < 0:
            raise InvalidAgent(f"agent '{self.name}': corrections cannot be negative.")

    def as_tool(self, *, name: str = "", description: str = "") -> AgentTool:
        """Return the agent as a tool for other agents; its runs are runs of their own.

        Args:
            name: The tool's name; the agent's, if none is given.
            description: What it is for; the agent's description, if none is given.
        """
        return AgentTool(self, name or self.name, description or self.description)


def is_agent_name(name: str) -> bool:
    """Return whether an agent can have this name."""
    return _NAME.fullmatch(name) is not None
