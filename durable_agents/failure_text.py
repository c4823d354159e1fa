"""How a failed agent call crosses the durable boundary: as one line of text.

Of an activity's exception, Azure's Functions host keeps the class name, the first line of its text
and the stack. So the text carries all that the orchestrator needs: the cause, for people who read
the history, then one JSON object.
"""

import json
from typing import Any, cast

from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.task import FailureDetails, TaskFailedError
from google.protobuf.wrappers_pb2 import StringValue
from pydantic import ValidationError

from durable_agents.errors import (
    AgentCallFailed,
    AgentCancelled,
    AgentTimeout,
    CodeChanged,
    InvalidAgentOutput,
    MaxTurnsExceeded,
    MessageTooLarge,
    ModelRateLimited,
    ModelRejected,
    ModelUnavailable,
    ResponseLost,
    SessionBusy,
    SessionNotFound,
    ToolFailed,
)
from durable_agents.messages import CallPolicy, TokenUsage

_MARK = ' {"agent": '
_LONGEST_CAUSE = 1000
FAULT = "fault"
"""The `code` of an error that stands for an exception that is none of the library's own."""

# Only these come back as themselves: a type name read from a history never picks another class.
_CLASSES = {
    kind.__name__: kind
    for kind in (
        AgentCallFailed,
        AgentCancelled,
        AgentTimeout,
        CodeChanged,
        InvalidAgentOutput,
        MaxTurnsExceeded,
        MessageTooLarge,
        ModelRateLimited,
        ModelRejected,
        ModelUnavailable,
        ResponseLost,
        SessionBusy,
        SessionNotFound,
        ToolFailed,
    )
}


def to_text(error: AgentCallFailed, policy: CallPolicy | None = None) -> str:
    """Return the line from which `from_failure` can make the error again.

    Args:
        error: The failure of the request.
        policy: The rules of the call. They are told only where they decide something.
    """
    facts: dict[str, Any] = {
        "agent": error.agent,
        "model": error.model,
        "request_id": error.request_id,
        "retry_after": error.retry_after,
        "code": error.code,
    }
    kept = {name: fact for name, fact in facts.items() if fact not in ("", None) or name == "agent"}
    if error.usage is not None:
        kept["usage"] = error.usage.model_dump(exclude_defaults=True)
    if policy is not None and error.retriable:
        kept["policy"] = policy.model_dump(mode="json", exclude_defaults=True)
    return f"{error.cause[:_LONGEST_CAUSE]} {json.dumps(kept)}"


def from_failure(failed: TaskFailedError, agent: str, model: str) -> AgentCallFailed:
    """Return the error that the failure of an agent's activity stands for.

    Args:
        failed: The failure, as the SDK tells of it.
        agent: The agent that was called.
        model: Its model, for failures that do not name one.
    """
    return from_details(failed.details, agent, model)


def from_details(details: FailureDetails, agent: str, model: str) -> AgentCallFailed:
    """Return the error that the failure of an activity or of a run stands for."""
    name = details.error_type.rpartition(".")[2]
    kind = _CLASSES.get(name)
    if kind is None:
        # Not an error of ours: a platform's refusal, or a fault in the code of the call.
        return AgentCallFailed(
            f"{name}: {details.message}",
            agent=agent,
            model=model,
            code=FAULT,
            details=_as_message(details),
        )
    cause, facts = _parts(details.message)
    return kind(
        cause or details.message,
        agent=str(facts.get("agent", agent)),
        model=str(facts.get("model", model)),
        request_id=str(facts.get("request_id", "")),
        retry_after=_seconds(facts.get("retry_after")),
        code=str(facts.get("code", "")),
        usage=_usage(facts.get("usage")),
        details=_as_message(details),
    )


def policy_of(failed: TaskFailedError) -> CallPolicy | None:
    """Return the rules of the call that were recorded with a failure, if they were."""
    _, facts = _parts(failed.details.message)
    try:
        return CallPolicy.model_validate(facts["policy"]) if "policy" in facts else None
    except ValidationError:
        return None


def _parts(message: str) -> tuple[str, dict[str, Any]]:
    # The last mark: the cause may quote a server, and with it any text.
    cause, _, rest = message.rpartition(_MARK)
    return cause, _facts(_MARK.strip() + " " + rest) if cause else {}


def _facts(text: str) -> dict[str, Any]:
    try:
        facts: object = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", facts) if isinstance(facts, dict) else {}


def _usage(fact: object) -> TokenUsage | None:
    try:
        return TokenUsage.model_validate(fact) if fact is not None else None
    except ValidationError:
        return None


def _seconds(fact: object) -> float | None:
    return float(fact) if isinstance(fact, int | float) else None


def _as_message(details: FailureDetails) -> pb.TaskFailureDetails:
    stack = StringValue(value=details.stack_trace) if details.stack_trace else None
    return pb.TaskFailureDetails(
        errorType=details.error_type, errorMessage=details.message, stackTrace=stack
    )
