"""The plain data of human requests: what is asked, what is stored of it, what came of it.

All of it crosses durable boundaries as plain JSON. What a person or a model wrote is kept as text,
also where it is JSON. A new field needs a default, and no field changes its meaning.
"""

import json
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, Field, field_validator, model_validator

from durable_agents import json_schema
from durable_agents.messages import Principal

type Status = Literal["pending", "answered", "expired", "withdrawn"]
type Outcome = Literal[
    "accepted", "unknown", "invalid", "not_allowed", "already_answered", "too_late"
]

# Ten years: what is longer is a mistake, and no calendar has an end for it.
type Seconds = Annotated[float, Field(gt=0, le=10 * 366 * 86_400, allow_inf_nan=False)]

# A tool's call that waits for a person: `durable_agents.people.approvals`.
TOOL_APPROVAL = "tool-approval"

# The result of a tool that somebody brings to its callback URL: `durable_agents.later_results`.
TOOL_RESULT = "tool-result"

_CODES: dict[Outcome, int] = {
    "accepted": 200,
    "unknown": 404,
    "invalid": 422,
    "not_allowed": 403,
    "already_answered": 409,
    "too_late": 410,
}


class Escalation(BaseModel, frozen=True):
    """More people who may answer, when nobody has answered for a while.

    Attributes:
        after: Seconds after the request was opened.
        to: Ids or names of principals.
    """

    after: Seconds
    to: tuple[str, ...] = Field(min_length=1)


class HumanRequest(BaseModel, frozen=True):
    """A question to a person.

    Attributes:
        id: Its id, no other's in its orchestration; empty for one that is made.
        kind: What sort of request it is: `question`, `approval`, or a word of your own.
        question: What is asked, for people.
        details: What it is about, as JSON text.
        answer_schema: The JSON schema of an answer, as text; empty for any JSON value.
        timeout: Seconds until it is too late; None for never.
        answerers: Ids or names of the principals who may answer; empty for everybody.
        needed: How many different people have to say yes. The first other answer decides against.
        reminders: Seconds after the opening at which people are reminded.
        escalations: Who may answer as well, later on.
        notify: An activity that is told when the request is opened, reminded of and escalated, or
            an empty text. What becomes of it does not matter to the request.
        agent: The agent that it is about.
        session: The session that it is about.
    """

    id: str = Field(default="", max_length=128)
    kind: str = "question"
    question: str
    details: str = "{}"
    answer_schema: str = ""
    timeout: Seconds | None = None
    answerers: tuple[str, ...] = ()
    needed: int = Field(default=1, ge=1, le=100)
    reminders: tuple[Seconds, ...] = Field(default=(), max_length=100)
    escalations: tuple[Escalation, ...] = Field(default=(), max_length=100)
    notify: str = ""
    agent: str = ""
    session: str = ""

    @field_validator("details")
    @classmethod
    def _is_json(cls, text: str) -> str:
        json.loads(text)
        return text

    @field_validator("answer_schema")
    @classmethod
    def _is_usable(cls, text: str) -> str:
        if text:
            json_schema.require_usable(json.loads(text))
        return text

    @model_validator(mode="after")
    def _can_be_answered(self) -> Self:
        named = {*self.answerers, *(one for step in self.escalations for one in step.to)}
        if named and len(named) < self.needed:
            raise ValueError("fewer people may answer than have to say yes")
        # Everybody may answer already: an escalation would take that away.
        if self.escalations and not self.answerers:
            raise ValueError("escalations need answerers, who are asked first")
        return self


class Entry(BaseModel, frozen=True):
    """Something that happened to a request.

    Attributes:
        what: `opened`, `reminded`, `escalated`, `agreed` (a yes among others that are needed),
            `answered`, `refused` (an answer that was not accepted), `expired` or `withdrawn`.
        at: When, in UTC, as ISO 8601 has it.
        by: Who did it, if the platform says so.
        detail: The answer as JSON text, why one was refused, the people it was escalated to, or
            why it was withdrawn.
    """

    what: str
    at: str
    by: Principal | None = None
    detail: str = ""


class RequestState(BaseModel, frozen=True):
    """A request as its entity keeps it.

    Attributes:
        version: Of this form.
        instance: The orchestration that asks.
        request: What was asked.
        asked_at: When it was opened, in UTC, as ISO 8601 has it.
        deadline: When it is too late, in the same form; empty for never.
        answerers: Who may answer now; empty for everybody.
        status: What has become of it.
        answer: The answer that was accepted, as JSON text.
        answered_by: Whose it is.
        answered_at: When it was given.
        audit: All that happened, in order.
        forget_at: When the entity deletes itself, in the same form; empty for not yet: who asked
            has not taken what came of it.
    """

    version: int = 1
    instance: str
    request: HumanRequest
    asked_at: str
    deadline: str = ""
    answerers: tuple[str, ...] = ()
    status: Status = "pending"
    answer: str = ""
    answered_by: Principal | None = None
    answered_at: str = ""
    audit: tuple[Entry, ...] = ()
    forget_at: str = ""


class Opening(BaseModel, frozen=True):
    """The input of the operation `open`."""

    instance: str
    request: HumanRequest
    at: str
    deadline: str = ""


class GivenAnswer(BaseModel, frozen=True):
    """An answer on its way: the input of the orchestration `BuiltIn__Answer`.

    Attributes:
        instance: The orchestration that asks.
        request: The request's id.
        answer: The answer as JSON text.
        who: Who gives it, as the platform has authenticated them.
        at: When it was given, in UTC, as ISO 8601 has it; empty for now.
        problems: What is wrong with it that only who brings it can see; it is then refused.
    """

    instance: str
    request: str
    answer: str
    who: Principal | None = None
    at: str = ""
    problems: tuple[str, ...] = ()


class Verdict(BaseModel, frozen=True):
    """What became of an answer that was given.

    Attributes:
        outcome: `accepted`, or why it was not.
        problems: What is wrong with an invalid answer.
        kind: The kind of the request; empty for an unknown one.
        decided: Whether it is decided; not by a yes that needs others beside it.
    """

    outcome: Outcome
    decided: bool = True
    problems: tuple[str, ...] = ()
    kind: str = ""

    @property
    def code(self) -> int:
        """The HTTP code that says the same."""
        # A call that was not approved in time has been told to the model: it is decided.
        if self.outcome == "too_late" and self.kind == TOOL_APPROVAL:
            return 409
        return _CODES[self.outcome]


class Answer(BaseModel, frozen=True):
    """What came of a request.

    Attributes:
        request: The request's id.
        status: `answered`, `expired` or `withdrawn`.
        text: The answer as JSON text; empty where there is none.
        by: Whose it is, if the platform says so.
        at: When it was given, in UTC, as ISO 8601 has it.
    """

    request: str
    status: Status
    text: str = ""
    by: Principal | None = None
    at: str = ""

    @property
    def value(self) -> Any:
        """The answer as JSON data; None where there is none."""
        return json.loads(self.text) if self.text else None

    @property
    def approved(self) -> bool:
        """Whether somebody said yes: `true`, or an object with `approved: true`."""
        return is_yes(self.value)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON data; the SDK calls this when it stores a result."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the answer that `to_json` made `data` from."""
        return cls.model_validate(data)


def is_yes(value: object) -> bool:
    """Return whether an answer says yes: `true`, or an object with `approved: true`."""
    members = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    return value is True or members.get("approved") is True
