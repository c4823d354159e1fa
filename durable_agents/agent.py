"""What an agent is: a name, instructions, and the model behind it. Data; nothing here runs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from durabletask.task import RetryPolicy
from pydantic import JsonValue

from durable_agents.errors import InvalidAgent
from durable_agents.model import ChatModel

# The model and the form of a request are not options: they are decided elsewhere.
RESERVED_OPTIONS = frozenset(
    {"model", "messages", "response_format", "stream", "n", "tools", "tool_choice"}
)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")


# The name that apps know it by.
ChatClient = ChatModel


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A frozen description of an agent.

    Attributes:
        name: Its name, and that of the activity in histories: a letter, then letters, digits, `_`
            and `-`, 63 at most.
        instructions: What the model is told before each message.
        description: What the agent is for, for people.
        chat_client: The model behind it; None for the one of the app.
        options: Fields of the model request, as its server calls them (`temperature`).
        retry: How its calls are retried; None for the policy of the app.
        corrections: How often an answer that is not in the asked form is asked for again.

    Raises:
        InvalidAgent: The name cannot be one, or an option is not for an agent to set.
    """

    name: str
    instructions: str = ""
    description: str = ""
    chat_client: ChatModel | None = None
    options: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    retry: RetryPolicy | None = None
    corrections: int = 2

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidAgent(
                f"agent {self.name!r}: a name starts with a letter and has letters, digits, "
                "'_' and '-' after it, 63 characters at most."
            )
        if reserved := RESERVED_OPTIONS & set(self.options):
            raise InvalidAgent(f"agent '{self.name}': '{min(reserved)}' is not an option.")
        if self.corrections < 0:
            raise InvalidAgent(f"agent '{self.name}': corrections cannot be negative.")
