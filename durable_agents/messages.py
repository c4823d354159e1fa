"""The plain data that crosses a durable boundary: it is stored in histories, and read for years.

The SDK stores a typed result together with its module and class name. So these types stay in this
module, under these names, for ever; a new field needs a default, and no field changes its meaning.

What a model or a tool wrote is kept as text, also where it is JSON: the SDK's codec makes objects
of what looks like one of its envelopes, and nobody outside may write such an envelope.
"""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class TextPart(BaseModel, frozen=True):
    """A text in a message."""

    text: str


class ImagePart(BaseModel, frozen=True):
    """An image in a message.

    Attributes:
        url: Where it is: an https URL, or the image itself as a `data:` URL.
        detail: How closely the model is to look: `low`, `high`, `auto`, or empty.
    """

    url: str
    detail: str = ""


# Told apart by what they have: what is left out of a payload need not be stored for years.
type Part = TextPart | ImagePart


class ToolCall(BaseModel, frozen=True):
    """A call of a tool that a model asks for.

    Attributes:
        id: The call's id; different from the others of its message, and never empty.
        name: The tool's name; only characters that servers take.
        arguments: The arguments as JSON text, an object.
    """

    id: str
    name: str
    arguments: str = "{}"


class ToolResult(BaseModel, frozen=True):
    """What came of a call of a tool, as the model is told: the result of the tool's activity.

    Attributes:
        call_id: The id of the call.
        name: The tool's name.
        text: The result, never empty.
        is_error: Whether the call failed, or was not made.
        retriable: Whether the failure may pass; the orchestrator decides by this.
        handoff: Whether it stands for a transfer, of which the next agent is not told.
        later: Whether this is no result yet: somebody brings it to the call's callback URL.
    """

    call_id: str
    name: str
    text: str
    is_error: bool = False
    retriable: bool = False
    handoff: bool = False
    later: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON data; the SDK calls this when it stores a result."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the result that `to_json` made `data` from."""
        return cls.model_validate(data)


class Message(BaseModel, frozen=True):
    """One message of a conversation.

    Attributes:
        role: Who speaks. What a user says has parts, and so has what an assistant says; a tool's
            message has a result.
        parts: Texts and images.
        calls: The tools that an assistant asks for with this message.
        result: What a tool came to.
        author: The agent or participant that said it; empty for the user and for the agent whose
            conversation it is.
    """

    role: Literal["system", "user", "assistant", "tool"]
    parts: tuple[Part, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    result: ToolResult | None = None
    author: str = ""

    @property
    def text(self) -> str:
        """The texts of the message, or of its result."""
        if self.result is not None:
            return self.result.text
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))

    @classmethod
    def of(cls, role: Literal["system", "user", "assistant"], text: str, author: str = "") -> Self:
        """Return a message that is one text."""
        return cls(role=role, parts=(TextPart(text=text),), author=author)


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


class Principal(BaseModel, frozen=True):
    """Who called, as the platform has authenticated them.

    Attributes:
        id: The principal's id.
        name: Its name, for people.
        provider: The identity provider (`aad`).
    """

    id: str
    name: str = ""
    provider: str = ""


class SessionTurn(BaseModel, frozen=True):
    """A turn of a session: where a model request finds the conversation before it.

    Attributes:
        agent: The agent whose session it is.
        key: The session's id.
        turn: The correlation id of the turn.
        taken: Ids of the messages that were put into this turn while it ran, and that an earlier
            request of it has taken in.
        older: Whether the request is about the older turns alone, those to be summarised.
    """

    agent: str
    key: str
    turn: str
    taken: tuple[str, ...] = ()
    older: bool = False


class ModelRequest(BaseModel, frozen=True):
    """One request to an agent's model: the input of the activity named like the agent.

    Attributes:
        message: What the agent is told or asked; empty where there are messages.
        corrections: Its answers so far that did not have the asked form.
        output: The asked form, if any.
        options: Fields of the model request, over those of the agent.
        policy: The rules of the call; None in requests of before they were recorded.
        version: 1, or 2 for a request with messages.
        messages: The conversation of this run so far, without instructions.
        session: The turn of a session that the request belongs to.
        instance: The orchestration that waits for the answer; when it ends, nobody does.
        parent: The one that waits for that orchestration, if there is one.
        tools: Whether the agent's tools are offered.
        pending: The id of a response that the server is making of this request, to be asked for.
        cancel: Whether the server is to stop making it.
    """

    message: str = ""
    corrections: tuple[Correction, ...] = ()
    output: OutputSchema | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)
    policy: CallPolicy | None = None
    version: int = 1
    messages: tuple[Message, ...] = ()
    session: SessionTurn | None = None
    instance: str = ""
    parent: str = ""
    tools: bool = True
    pending: str = ""
    cancel: bool = False

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
    """How many tokens the model's server says it has counted.

    Attributes:
        input_tokens: Tokens of the requests, those that were cached among them.
        output_tokens: Tokens of the answers, those of reasoning among them.
        total_tokens: Both.
        cached_tokens: Of the input: those that the server had from before.
        reasoning_tokens: Of the output: those that nobody reads.
        uncounted_calls: Answers for which the server gave no count.
        repeated_calls: Requests that were made again though the first may have been answered.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    uncounted_calls: int = 0
    repeated_calls: int = 0

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            **{name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields}
        )


class ModelReply(BaseModel, frozen=True):
    """What a model answered to one request, as its server said it.

    Attributes:
        text: What it said; empty only where there are calls.
        calls: The tools it asks for.
        usage: Tokens of this one request.
        model: The model that answered, by the name its server gave.
        finish_reason: Why the model stopped, in its server's words.
        request_id: The server's id of the request, for its support.
    """

    model_config = ConfigDict(protected_namespaces=())

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    usage: TokenUsage = TokenUsage()
    model: str = ""
    finish_reason: str = ""
    request_id: str = ""


class ToolPolicy(BaseModel, frozen=True):
    """How a tool is called: the rules in force when its call was asked for, times in seconds."""

    retry: CallPolicy = CallPolicy()
    timeout: float | None = None
    on_error: Literal["tell", "raise"] = "tell"


class PreparedCall(BaseModel, frozen=True):
    """A call that a model asked for, and what the activity decided about it.

    Attributes:
        call: The call as the conversation keeps it.
        action: `run` a tool, ask an `agent`, `hand_off` to one, or `tell` the model that it is not
            done.
        target: The activity that runs the tool, or the agent.
        arguments: The effective arguments as JSON text: validated, with defaults.
        problem: What the model is told, for `tell`.
        approval: Whether a person has to approve the effective arguments.
        policy: How the tool is called.
        callback: The secret of the call's callback URL, if its result may come later. Made once.
    """

    call: ToolCall
    action: Literal["run", "agent", "hand_off", "tell"]
    target: str = ""
    arguments: str = "{}"
    problem: str = ""
    approval: bool = False
    policy: ToolPolicy = ToolPolicy()
    callback: str = ""


class Verdict(BaseModel, frozen=True):
    """What the activity decided about an answer; the orchestrator goes by this, and never again.

    Attributes:
        policy: The rules of the call, as its request had them.
        judged: Whether the answer was checked.
        problem: Why it cannot be taken; empty if it can.
        calls: The tools that the model asks for. An answer with calls is not judged.
        taken: Messages that were put into the session's turn and are in this request, by their id.
        pending: The id of the response that the server is making; there is no answer yet.
        value: Where in the answer the value of the asked form was found, as JSON text, when it is
            not the whole answer.
    """

    policy: CallPolicy
    judged: bool = False
    problem: str = ""
    calls: tuple[PreparedCall, ...] = ()
    taken: dict[str, Message] = Field(default_factory=dict)
    pending: str = ""
    value: str = ""


class AgentResponse[T = Any](BaseModel):
    """What an agent answered: the result of a call, and of the activity named like the agent.

    Attributes:
        text: The answer; never empty in what a flow gets.
        value: The answer parsed by `response_format`: an object of the pydantic class, or what
            the JSON schema describes. None without a `response_format`.
        usage: Tokens of this call, with those of answers that had to be asked for again, of tool
            turns and of agents that were asked as tools.
        agent: Name of the agent that answered.
        model: The model that answered, by the name its server gave.
        finish_reason: Why the model stopped, in its server's words.
        request_id: The server's id of the request, for its support.
        verdict: What the activity recorded; None in what a flow gets.
        session_id: The session, if there is one.
        correlation_id: The id of the run; empty for a call that is an activity alone.
        notes: What else happened: a transfer that was not followed, a conversation that was
            compacted.
    """

    # `model` is a word of ours here; pydantic would like to keep names that begin like it.
    model_config = ConfigDict(frozen=True, protected_namespaces=())

    text: str
    value: T | None = None
    usage: TokenUsage = TokenUsage()
    agent: str = ""
    model: str = ""
    finish_reason: str = ""
    request_id: str = ""
    verdict: Verdict | None = None
    session_id: str = ""
    correlation_id: str = ""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain JSON data; the SDK calls this when it stores a result."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the answer that `to_json` made `data` from."""
        return cls.model_validate(data)


class RunLimits(BaseModel, frozen=True):
    """How far a run may go.

    Attributes:
        turns: The most requests to models, corrections aside.
        tool_calls: The most calls that models may ask for, those that are not made among them.
        handoffs: The most transfers.
        depth: How deep agents may be asked as tools by one another.
    """

    turns: int = 20
    tool_calls: int = 100
    handoffs: int = 8
    depth: int = 5


class RunRequest(BaseModel, frozen=True):
    """The input of the orchestration `run-<agent>`.

    Attributes:
        agent: The agent that is asked.
        messages: What it is told.
        session: The id of a session; empty for a conversation of its own.
        on_busy: What happens when the session is busy: `reject`, `queue`, `interrupt`, `steer`.
        output: The asked form, if any.
        options: Fields of the model request, over those of the agent.
        policy: How model calls are retried and answers corrected.
        limits: How far the run may go.
        deadline: When it is over, in UTC, as ISO 8601 has it; empty for `timeout` after its start.
        timeout: How many seconds it may take; 0 for no limit.
        principal: Who called, if the platform says so.
        depth: How many agents have been asked as tools above this one.
        parent: The orchestration that waits for the run; when it ends, nobody does.
        body_hash: Of the HTTP request that began the run, when it had an `Idempotency-Key`.
        unset: Which of the fields above are the agent's to say; the run's first step finds out.
    """

    version: int = 1
    agent: str
    messages: tuple[Message, ...]
    session: str = ""
    on_busy: Literal["reject", "queue", "interrupt", "steer"] = "reject"
    output: OutputSchema | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)
    policy: CallPolicy = CallPolicy()
    limits: RunLimits = RunLimits()
    deadline: str = ""
    timeout: float = 0
    principal: Principal | None = None
    depth: int = 0
    parent: str = ""
    body_hash: str = ""
    unset: tuple[Literal["policy", "limits", "on_busy", "output"], ...] = ()


class ToolRequest(BaseModel, frozen=True):
    """The input of a tool's activity.

    Attributes:
        call_id: The id of the call.
        arguments: The effective arguments, as JSON text.
        agent: The agent whose model asked for the call.
        instance: The run's instance id.
        idempotency_key: The same in every attempt of the call, and no other call's.
        attempt: From 1.
        session: The session's id, if there is one.
        principal: Who called, if the platform says so.
        fingerprint: Of the arguments that were approved; they are the ones that run.
        callback: The end of the URL to which the result may be brought; empty for none.
    """

    version: int = 1
    call_id: str
    arguments: str = "{}"
    agent: str = ""
    instance: str = ""
    idempotency_key: str = ""
    attempt: int = 1
    session: str = ""
    principal: Principal | None = None
    fingerprint: str = ""
    callback: str = ""
