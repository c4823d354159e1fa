"""The plain data that crosses a durable boundary: it is stored in histories, and read for years.

The SDK stores a typed result together with its module and class name. So these types stay in this
module, under these names, for ever; a new field needs a default, and no field changes its meaning.
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class OutputSchema(BaseModel, frozen=True):
    """The form an answer must have, as the model's server is told."""

    name: str
    json_schema: dict[str, JsonValue]
    strict: bool = False
    # Where the pydantic class is that the schema describes, `module:name`. Servers are not told.
    python_class: str = ""


class Correction(BaseModel, frozen=True):
    """An answer that did not have the asked form, and what was wrong with it."""

    answer: str
    problem: str


class CallPolicy(BaseModel, frozen=True):
    """How a call is retried and corrected: the rules in force when it was made, times in seconds.

    Settings and code change while an instance waits; what was decided by these rules does not. So
    they go out with each request and come back with its result, where every replay finds them.
    """

    attempts: int = 1
    first_interval: float = 0
    backoff: float = 1
    longest_interval: float | None = None
    retry_timeout: float | None = None
    corrections: int = 0


class ModelRequest(BaseModel, frozen=True):
    """One request to an agent's model: the input of the activity named like the agent.

    Attributes:
        message: What the agent is told or asked.
        corrections: Its answers so far that did not have the asked form.
        output: The asked form, if any.
        options: Fields of the model request, over those of the agent.
        policy: The rules of the call; None in requests of before they were recorded.
    """

    message: str
    corrections: tuple[Correction, ...] = ()
    output: OutputSchema | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)
    policy: CallPolicy | None = None

    def to_payload(self) -> dict[str, Any]:
        """Return the request as plain JSON data, without what is not set."""
        return self.model_dump(mode="json", exclude_defaults=True)


class TimedCall(BaseModel, frozen=True):
    """A call with a time limit: the input of the orchestration that it is run in.

    Attributes:
        agent: The name of the agent.
        request: The first request, with the rules of the call.
        deadline: When the call is over, in UTC, as ISO 8601 has it.
        timeout: How many seconds that was from the start, for messages.
    """

    agent: str
    request: ModelRequest
    deadline: str
    timeout: float


class TokenUsage(BaseModel, frozen=True):
    """How many tokens the model's server says it has counted."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
        )


class Verdict(BaseModel, frozen=True):
    """What the activity decided about an answer; the orchestrator goes by this, and never again.

    Attributes:
        policy: The rules of the call, as its request had them.
        judged: Whether the answer was checked.
        problem: Why it cannot be taken; empty if it can.
    """

    policy: CallPolicy
    judged: bool = False
    problem: str = ""


class AgentResponse(BaseModel):
    """What an agent answered.

    Attributes:
        text: The answer; never empty.
        value: The answer parsed by `response_format`: an object of the pydantic class, or what
            the JSON schema describes. None without a `response_format`.
        usage: Tokens of this call, with those of answers that had to be asked for again.
        agent: Name of the agent.
        model: The model that answered, by the name its server gave.
        finish_reason: Why the model stopped, in its server's words.
        request_id: The server's id of the request, for its support.
        verdict: What the activity recorded; None in what a flow gets.
    """

    # `model` is a word of ours here; pydantic would like to keep names that begin like it.
    model_config = ConfigDict(frozen=True, protected_namespaces=())

    text: str
    value: Any = None
    usage: TokenUsage = TokenUsage()
    agent: str = ""
    model: str = ""
    finish_reason: str = ""
    request_id: str = ""
    verdict: Verdict | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain JSON data; the SDK calls this when it stores a result."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the answer that `to_json` made `data` from."""
        return cls.model_validate(data)
