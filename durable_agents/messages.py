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


class Correction(BaseModel, frozen=True):
    """An answer that did not have the asked form, and what was wrong with it."""

    answer: str
    problem: str


class ModelRequest(BaseModel, frozen=True):
    """One request to an agent's model: the input of the activity named like the agent."""

    message: str
    corrections: tuple[Correction, ...] = ()
    output: OutputSchema | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)

    def to_payload(self) -> dict[str, Any]:
        """Return the request as plain JSON data, without what is not set."""
        return self.model_dump(mode="json", exclude_defaults=True)


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

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain JSON data; the SDK calls this when it stores a result."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the answer that `to_json` made `data` from."""
        return cls.model_validate(data)
